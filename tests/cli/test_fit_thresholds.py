"""`roadanomaly fit --data FOLDER`: sets in one word, what thresholds raise, and one by objects."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager

import cv2
import numpy as np
import pytest
import torch
import yaml
from scipy import ndimage

import roadanomaly as ra
from roadanomaly.cli.data_words import with_sets_spelled
from roadanomaly.data.images import write_image
from roadanomaly.data.streets import Streets
from roadanomaly.errors import DataError, OptionError
from roadanomaly.evaluation.inlier_alarms import KeptScores
from roadanomaly.report.tables.raised import raised_text
from roadanomaly.types import VOID, Frame

COUNT = 3
RATES = {"low": 0.03, "normal": 0.1, "high": 0.3}


@pytest.fixture
def drive(tmp_path):
    """Streets of 96 x 192 pixels, of which a good part may be one object."""
    folder = tmp_path / "drive"
    folder.mkdir()
    for frame in Streets("val", count=COUNT, height=96, width=192):
        write_image(folder / f"{frame.id}.png", frame.image.permute(1, 2, 0).numpy())
    return folder


@pytest.fixture
def named(model_folder, tmp_path):
    """The tiny model with named thresholds."""
    model = ra.load(model_folder)
    chosen = {name: model.calibration.threshold_at(rate) for name, rate in RATES.items()}
    model.calibration = model.calibration.with_sensitivities(chosen)
    model.save(tmp_path / "named")
    return tmp_path / "named"


def scores_of(folder, drive):
    model = ra.load(folder)
    images = (cv2.imread(str(path))[..., ::-1].copy() for path in sorted(drive.glob("*.png")))
    return np.stack([model(image).score for image in images])


def objects(scores, threshold):
    """Count regions of at least 500 pixels of each frame, by SciPy."""
    found = []
    for score in scores:
        parts, count = ndimage.label(score > np.float32(threshold), np.ones((3, 3)))
        sizes = ndimage.sum_labels(np.ones_like(parts), parts, np.arange(1, count + 1))
        found.append(int((np.asarray(sizes) >= 500).sum()))
    return np.array(found)


def table_of(said):
    """Return the numbers of the printed table, by the name of the threshold."""
    lines = said[said.index("on these") :].splitlines()[2:]
    rows = [re.split(r"\s{2,}", line.strip()) for line in lines if "  " in line]
    return {name: [float(one.replace("–", "nan")) for one in rest] for name, *rest in rows}


@pytest.mark.slow
@pytest.mark.parametrize("glob", [False, True])
def test_a_folder_in_one_word_is_its_ordinary_frames(command, model_folder, drive, tmp_path, glob):
    spelled = ("--data.name", "folder", "--data.images", drive, "--data.kind", "ordinary")
    for out, words in (
        ("a", ("--data", drive / "*.png" if glob else drive)),
        ("b", spelled),
        ("c", ("--data", "streets", "--data.count", 1, f"--calibration_data={drive}")),
    ):
        code, _, err = command("fit", "--run", model_folder, *words, "--out", tmp_path / out)
        assert code == 0, err
    a, b, c = (ra.load(tmp_path / out) for out in "abc")
    assert a.record["calibration_data"] == b.record["calibration_data"]
    assert a.record["calibration_data"]["labels"] == "ordinary"
    assert a.calibration == b.calibration == c.calibration
    scores = scores_of(tmp_path / "a", drive)
    assert (scores > a.calibration.threshold).mean() == pytest.approx(0.01, rel=0.02)


@pytest.mark.parametrize(
    ("words", "becomes"),
    [
        (["--data", "camvid"], {"name": "camvid"}),
        (["--data=camvid", "--data.split", "val"], {"name": "camvid"}),
        (["--data", "2024"], {"name": "folder", "images": "2024", "kind": "ordinary"}),
        (["--data", "*.jpg"], {"name": "folder", "images": "*.jpg", "kind": "ordinary"}),
        *(
            (["--data", word], {"name": "folder", "images": word, "kind": "ordinary"})
            for word in ("2024-12-31", "2024-31-12", "1e3", "drive \U0001f697", "d\udc80", "a\x7f'")
        ),
    ],
)
def test_a_word_stands_for_a_mapping(tmp_path, monkeypatch, words, becomes):
    monkeypatch.chdir(tmp_path)
    if (images := becomes.get("images", "*")) != "*.jpg":
        (tmp_path / images).mkdir(exist_ok=True)
    (tmp_path / "camvid").mkdir()  # a name of the catalogue all the same
    first = with_sets_spelled(words, ["--data"])
    told = first[0].removeprefix("--data=") if "=" in words[0] else first[1]
    assert yaml.safe_load(told) == becomes


@pytest.mark.parametrize(
    "words",
    [
        ["--data", "{name: camvid}"],
        ["--data", "name: camvid"],
        ["--calibration_data", "null"],
        ["--data", ""],
        ["--data"],
        ["--data", "--size", "64", "96"],
        ["--data.name", "folder", "--data.images", "nowhere"],
        ["--validation_data", "laf"],
    ],
)
def test_what_is_no_word_stays(words):
    assert with_sets_spelled(words, ["--data", "--calibration_data"]) == words


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("camvd", "no data set is called so; did you mean `camvid`?"),
        ("photos/none", "--data photos/none: there is no such folder"),
        ("clip.mp4", "--data clip.mp4 is a file, and no image"),
        ("photos/*.bmp", "no images were found by `images` = photos/*.bmp"),
        ("empty", "the folder is there but holds none"),
        ("7", "--data 7: there is no such folder"),
        ("zzz", "union. A folder of images or a quoted glob is taken, too."),
    ],
)
def test_words_that_name_no_frames_are_refused(
    command, model_folder, photos, tmp_path, monkeypatch, word, says
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "clip.mp4").write_bytes(b"no film")
    code, _, err = command("fit", "--run", model_folder, "--data", word, "--out", "mine")
    assert code == 2
    assert says in err
    assert not (tmp_path / "mine").exists()


def test_a_glob_that_the_shell_spelled_out_is_told(command, model_folder, photos):
    code, _, err = command("fit", "--run", model_folder, "--data", *sorted(photos.iterdir()))
    assert code == 2
    assert "--data takes one word, and 3 stand there" in err
    assert "put a glob in quotes" in err


def test_mistakes_in_words_are_mistakes_of_users(tmp_path):
    with pytest.raises(DataError):
        with_sets_spelled(["--data", "nowhere"], ["--data"])
    with pytest.raises(OptionError):
        with_sets_spelled(["--data", "a.jpg", "b.jpg"], ["--data"])


def test_each_threshold_says_what_it_raises_on_these_frames(command, named, drive, tmp_path):
    words = ("--run", named, "--data", drive, "--false_alarms", 0.2, "--out", tmp_path / "mine")
    code, said, err = command("fit", *words)
    assert code == 0, err
    assert f"on these {COUNT} frames (a false object has at least 500 pixels)" in said
    table = table_of(said)
    assert list(table) == ["the model's own", *RATES]
    scores, calibration = (
        scores_of(tmp_path / "mine", drive),
        ra.load(tmp_path / "mine").calibration,
    )
    for name, (score, above, false, clean) in table.items():
        own = name == "the model's own"
        threshold = calibration.threshold if own else calibration.sensitivities[name]
        counts = objects(scores, threshold)
        assert score == pytest.approx(threshold, abs=1e-3)
        assert above == pytest.approx(100 * (scores > threshold).mean(), abs=0.01)
        assert false == pytest.approx(counts.mean(), abs=0.01)
        assert clean == pytest.approx(100 * (counts == 0).mean(), abs=0.01)
    assert table["the model's own"][2] > 0


@pytest.mark.slow
def test_a_threshold_leaves_no_more_false_objects_than_were_asked_for(
    command, named, drive, tmp_path
):
    words = ("--run", named, "--data", drive, "--out", tmp_path / "mine")
    code, said, err = command("fit", *words, "--false_objects", 0.5)
    assert code == 0, err
    assert said.startswith("the lowest threshold that leaves at most 0.5 false objects a frame: ")
    found, scores = ra.load(tmp_path / "mine").calibration, scores_of(tmp_path / "mine", drive)
    assert table_of(said)["the model's own"][2] == pytest.approx(
        objects(scores, found.threshold).mean(), abs=0.01
    )
    rates = np.geomspace(found.rate, 0.2, 400)
    lower = [objects(scores, found.threshold_at(rate)).mean() for rate in rates]
    assert lower[0] <= 0.5
    assert next(rate for rate, left in zip(rates, lower, strict=True) if left > 0.5) < (
        1.3 * found.rate
    )
    higher = np.geomspace(found.rates[0], found.rate, 50)
    assert all(objects(scores, found.threshold_at(rate)).mean() <= 0.5 for rate in higher)
    assert (scores > found.threshold).mean() == pytest.approx(found.rate, rel=0.02)
    held = json.loads((tmp_path / "mine" / "model" / "model.json").read_text())
    assert held["calibration"]["rate"] == found.rate
    assert held["record"]["config"]["false_objects"] == 0.5
    assert list(found.sensitivities) == list(RATES)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--false_objects", 0), "--false_objects is 0; give a number"),
        (("--false_objects=-1",), "--false_objects is -1; give a number"),
        (("--false_objects", 0.5, "--false_alarms", 0.01), "both set the threshold"),
        (("--false_objects", 0.5, "--calibration_data", "TEST"), "shows an anomaly"),
        (("--false_objects", 0.5, "--data.kind", "anomaly"), "has no label"),
    ],
)
def test_objects_that_cannot_be_counted_are_refused_before_any_is_scored(
    command, model_folder, drive, tmp_path, monkeypatch, words, says
):
    monkeypatch.setattr("roadanomaly.cli.fit.scored", lambda *_: pytest.fail("it was scored"))
    strange = "{name: streets, split: test, count: 1, height: 64, width: 96}"
    words = [strange if word == "TEST" else word for word in words]
    out = ("--out", tmp_path / "mine")
    code, _, err = command("fit", "--run", model_folder, "--data", drive, *words, *out)
    assert code == 2
    assert says in err
    assert not (tmp_path / "mine" / "model").exists()


def test_objects_are_counted_only_where_it_is_known_what_is_false(
    command, model_folder, drive, tmp_path
):
    words = ("--run", model_folder, "--data", drive)
    code, said, _ = command("fit", *words, "--data.kind", "anomaly", "--out", tmp_path / "bare")
    assert code == 0
    assert "--data.kind ordinary says that nothing in them is strange" in said
    assert np.isnan(table_of(said)["the model's own"][2])
    strange = "{name: streets, split: test, count: 1, height: 64, width: 96}"
    words = (*words, "--calibration_data", strange, "--out", tmp_path / "strange")
    code, said, _ = command("fit", *words)
    assert code == 0
    assert "on these" not in said


def test_of_many_frames_every_nth_is_kept_to_count_on(command, named, drive, tmp_path, monkeypatch):
    """The threshold still rests on all of them, the table on two of three."""
    monkeypatch.setattr("roadanomaly.cli.fit.MOST_KEPT", COUNT - 1)
    code, said, err = command("fit", "--run", named, "--data", drive, "--out", tmp_path / "out")
    assert code == 0, err
    assert f"on 2 of these {COUNT} frames" in said
    scores = scores_of(tmp_path / "out", drive)
    calibration = ra.load(tmp_path / "out").calibration
    assert (scores > calibration.threshold).mean() == pytest.approx(0.01, rel=0.02)
    kept, told = scores[::2], table_of(said.replace("on 2 of these", "on these 2 of"))
    for name, threshold in calibration.sensitivities.items():
        above, false, _ = told[name][1:]
        assert above == pytest.approx(100 * (kept > threshold).mean(), abs=0.006)
        assert false == pytest.approx(objects(kept, threshold).mean(), abs=0.006)


class Full:
    """A disk on which the first array fits and no other; NumPy tells without a number or a word."""

    def __init__(self, monkeypatch, folder):
        monkeypatch.setattr("tempfile.tempdir", str(folder))
        monkeypatch.setattr("roadanomaly.evaluation.inlier_alarms.np.save", self.save)
        self.folder, self.tried, self.whole = folder, 0, np.save

    def save(self, path, array):
        self.tried += 1
        if self.tried > 1:
            path.write_bytes(b"half")
            msg = f"{array.size} requested and 7 written"
            raise OSError(msg)
        self.whole(path, array)


@pytest.fixture
def full(monkeypatch, tmp_path):
    folder = tmp_path / "temporary"
    folder.mkdir()
    return Full(monkeypatch, folder)


def test_scores_that_cannot_be_kept_cost_the_table_alone(
    command, named, drive, tmp_path, full, monkeypatch
):
    """All is saved as ever; what was kept is deleted, and no more is tried."""
    cleared = []
    monkeypatch.setattr(
        "roadanomaly.cli.fit.calibrate",
        lambda *given, **options: (
            ra.calibration.calibrate(*given, **options),
            cleared.append(not list(full.folder.iterdir())),
        )[0],
    )
    code, said, err = command("fit", "--run", named, "--data", drive, "--out", tmp_path / "mine")
    assert (code, full.tried) == (0, 2), err
    assert "false objects/frame" not in said
    told = said.splitlines()[-1]
    assert told.startswith("what thresholds raise on these frames is not told: the folder of temp")
    assert f"(18432 requested and 7 written), about {COUNT * 4 * 96 * 192} bytes;" in told
    assert cleared == [True]
    scores = scores_of(tmp_path / "mine", drive)
    threshold = ra.load(tmp_path / "mine").calibration.threshold
    assert (scores > threshold).mean() == pytest.approx(0.01, rel=0.02)


def test_a_threshold_by_objects_says_how_much_room_it_needs(command, named, drive, tmp_path, full):
    words = ("--run", named, "--data", drive, "--out", tmp_path / "mine", "--false_objects", 0.5)
    code, _, err = command("fit", *words)
    assert code == 2
    assert "--false_objects: the folder of temporary files does not take" in err
    assert f"about {COUNT * 4 * 96 * 192} bytes; set TMPDIR" in err
    assert not list(full.folder.iterdir())


def test_without_any_folder_of_temporary_files_a_model_is_saved(
    command, named, drive, tmp_path, monkeypatch
):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    code, said, err = command("fit", "--run", named, "--data", drive, "--out", tmp_path / "mine")
    assert code == 0, err
    assert "(No such file or directory), about" in said
    assert ra.load(tmp_path / "mine").calibration is not None


def test_of_frames_without_an_inlier_pixel_the_share_above_is_not_known():
    ordinary = Frame("a", torch.zeros(3, 4, 6), torch.full((4, 6), VOID, dtype=torch.uint8))
    with KeptScores(1) as kept:
        assert [one.size for one in kept.keep([(ordinary, np.zeros((4, 6), np.float32))])] == [0]
        found = kept.raised(0.5)
    assert np.isnan(found.above)
    assert found.false_a_frame == 0
    assert raised_text({"own": found})


def test_looking_for_a_threshold_shows_how_far_it_is(command, named, drive, tmp_path, monkeypatch):
    steps = []

    @contextmanager
    def counting(total, what, unit):
        yield lambda: steps.append((total, what, unit))

    monkeypatch.setattr("roadanomaly.evaluation.inlier_alarms.counting", counting)
    words = ("--run", named, "--data", drive, "--out", tmp_path / "mine", "--false_objects", 0.5)
    code, _, err = command("fit", *words)
    assert code == 0, err
    assert 1 < len(steps) <= 60
    assert set(steps) == {(60, "false objects", "threshold")}


def test_one_frame_is_told_as_one(command, named, drive, tmp_path):
    for path in sorted(drive.iterdir())[1:]:
        path.unlink()
    code, said, err = command("fit", "--run", named, "--data", drive, "--out", tmp_path / "mine")
    assert code == 0, err
    assert "on this 1 frame (a false object" in said


def test_a_config_behind_the_word_is_told_to_stand_first(command, model_folder, drive, tmp_path):
    config = tmp_path / "c.yaml"
    config.write_text("false_alarms: 0.2\nlimit: 2\n")
    out = ("--run", model_folder, "--out", tmp_path / "mine")
    code, _, err = command("fit", *out, "--data", drive, config)
    assert code == 2
    assert f"a config file stands before all options: {config} ... --data {drive}" in err
    code, said, err = command("fit", config, *out, "--data", drive)
    assert code == 0, err
    assert said.startswith("20 % of inlier pixels")
