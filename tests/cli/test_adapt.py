"""`roadanomaly adapt` from the command line: a small run, its files, and its refusals."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import yaml
from sklearn.metrics import average_precision_score

import roadanomaly as ra
from roadanomaly.cli.fit import held_out_part
from roadanomaly.data import DATASETS
from roadanomaly.data.images import write_image
from roadanomaly.data.streets import Streets
from roadanomaly.errors import OptionError
from roadanomaly.training.adapt_config import AdaptConfig
from roadanomaly.training.run_folder import plain

STRANGE = {"name": "streets", "split": "test", "count": 2, "height": 64, "width": 128, "seed": 9}


def ap_of(folder):
    """Return the AP of a saved model on strange streets, by scikit-learn."""
    model = ra.load(folder)
    frames = list(DATASETS.from_spec(STRANGE))
    scores = np.concatenate([model(one.image).score.ravel() for one in frames])
    truth = np.concatenate([one.truth.numpy().ravel() for one in frames])
    return average_precision_score(truth[truth < 2], scores[truth < 2])


@pytest.fixture(scope="module")
def drive(tmp_path_factory):
    """Twelve frames of a folder that tests only read."""
    folder = tmp_path_factory.mktemp("drive")
    for frame in Streets("val", count=12, height=48, width=64):
        write_image(folder / f"{frame.id}.png", frame.image.permute(1, 2, 0).numpy())
    return folder


@pytest.mark.slow
def test_a_drive_becomes_a_model_with_its_figures(
    command, model_folder, drive, tmp_path, monkeypatch
):
    from roadanomaly.cli import adapt

    monkeypatch.setattr(adapt, "WORLD", {"name": "streets", "height": 48, "width": 64})
    out = tmp_path / "mine"
    own = "{name: shapes, look: {side: [12, 30]}}"
    words = ("--model", model_folder, "--out", out, "--steps", 2, "--workers", 0)
    (tmp_path / "worlds.yaml").write_text(yaml.safe_dump({"strange": {"data": STRANGE}}))
    words = (*words, "--worlds", tmp_path / "worlds.yaml")
    code, said, told = command("adapt", drive, *words, "--device", "cpu", "--negatives", own)
    assert code == 0, told
    assert "9 frames to learn from, 3 held out" in told
    assert "only 12 frames" in told
    assert "false objects a frame" in said
    assert "held-out worlds: 2 frames are scored at the end" in told
    with (out / "worlds" / "worlds.csv").open() as stream:
        aps = [float(row["strange.ap"]) for row in csv.DictReader(stream)]
    assert aps == pytest.approx([ap_of(model_folder), ap_of(out)], rel=1e-4)
    figures = json.loads((out / "adapted.json").read_text())
    assert figures["before"]["frames"] == figures["after"]["frames"] == 3
    assert figures["fps"] is None
    sources = yaml.safe_load((out / "config.yaml").read_text())["negatives"]["sources"]
    assert [one["name"] for one in sources] == ["street_objects", "shapes", "shapes"]
    assert len(list((out / "frames" / "learn").glob("*.png"))) == 9
    assert command("predict", out, drive, "--out", tmp_path / "seen")[0] == 0
    code, _, told = command("adapt", drive, *words)
    assert code == 2
    assert "already holds a run" in told
    assert command("adapt", "--out", out, "--resume")[0] == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--out", "mine"), "give at least one drive"),
        (("nowhere.mp4", "--model", "RUN", "--out", "mine"), "names no drive"),
        (("DRIVE", "--model", "nowhere", "--out", "mine"), "no model at"),
        (("DRIVE", "--model", "RUN", "--out", "mine", "--frames", "3"), "give at least 8"),
        (("DRIVE", "--model", "RUN", "--out", "mine", "--moves", "x"), "one of correction"),
        (("DRIVE", "--model", "RUN", "--out", "mine", "--moves", "heads"), "has no parameters"),
        (("DRIVE", "--model", "RUN", "--out", "mine", "--size", "8", "8"), "at least 32 pixels"),
        (
            ("DRIVE", "--model", "RUN", "--out", "mine", "--negatives", "{name: nothing}"),
            "no negative source is called 'nothing'",
        ),
        (
            ("DRIVE", "--model", "RUN", "--out", "mine", "--negatives", "{name: flow}"),
            "these negatives must not learn or follow a network",
        ),
        (
            ("DRIVE", "--model", "RUN", "--out", "mine", "--negatives", "{name: laa}"),
            "these negatives must not learn or follow a network",
        ),
        (("--out", "mine", "--resume"), "holds no adaptation"),
        (("DRIVE", "--out", "mine", "--resume"), "leave them out: the drives."),
        (
            ("--out", "mine", "--resume", "--steps", "5", "--keep", "0.5", "--workers", "0"),
            "leave them out: --steps, --keep, --workers.",
        ),
    ],
)
def test_mistakes_are_told_and_leave_nothing(
    command, model_folder, drive, tmp_path, monkeypatch, words, says
):
    monkeypatch.chdir(tmp_path)
    named = {"DRIVE": drive, "RUN": model_folder}
    code, _, told = command("adapt", *(named.get(word, word) for word in words))
    assert code == 2
    assert says in told
    assert not list((tmp_path / "mine").rglob("*.png"))


def test_a_fitted_refiner_is_refused_before_a_frame_is_taken(
    command, model_folder, drive, tmp_path
):
    data = ("--data", "{name: streets, split: val, count: 2, height: 64, width: 96}")
    words = ("--run", model_folder, "--refiners", "[{name: p_value}]", *data)
    assert command("fit", *words, "--out", tmp_path / "ranked")[0] == 0
    words = ("--model", tmp_path / "ranked", "--out", tmp_path / "mine")
    code, _, told = command("adapt", drive, *words)
    assert code == 2
    assert "the refiner `p_value` is fitted to the scores of this model" in told
    assert not list((tmp_path / "mine").rglob("*.png"))


def begun(folder, out):
    """Write what an adaptation in `out` leaves at its beginning into a folder."""
    streets = {"name": "streets", "count": 2, "height": 48, "width": 64}
    parts = {"train_data": streets, "val_data": streets, "world": streets}
    negatives = {"name": "shapes"}
    sources = {"negatives": negatives, "val_negatives": negatives}
    config = AdaptConfig(model="run", out=str(out), **parts, **sources)
    folder.mkdir()
    (folder / "config.yaml").write_text(yaml.safe_dump(plain(config)))


@pytest.mark.parametrize("moved", [True, False])
def test_a_run_goes_on_in_its_own_folder_alone(command, tmp_path, monkeypatch, moved):
    """A folder that was moved, and one that is named from another working directory."""
    here, wrong = tmp_path / "mine", tmp_path / "elsewhere"
    begun(here, wrong if moved else "mine")
    wrong.mkdir()
    monkeypatch.chdir(tmp_path if moved else wrong)
    code, _, told = command("adapt", "--out", here, "--resume")
    assert code == 2
    named = wrong if moved else wrong / "mine"
    assert f"which is {named} from here, and not {here}" in told
    assert "Go on from the working directory in which it began" in told
    assert not list(wrong.rglob("*"))


@pytest.mark.slow
@pytest.mark.parametrize("out", ["mine", "link", "sub/../mine"])
def test_a_run_goes_on_in_its_folder_by_whatever_name(command, tmp_path, monkeypatch, out):
    def goes_on(config, *, resume):
        raise OptionError(f"{config.out} goes on" if resume else "begins anew")

    begun(tmp_path / "mine", "mine")
    (tmp_path / "link").symlink_to("mine")
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("roadanomaly.cli.adapt.carry_out", goes_on)
    code, _, told = command("adapt", "--out", out, "--resume")
    assert code == 2
    assert "mine goes on" in told


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--false_alarms", 0), "must lie between 0 and 1, not 0"),
        (("--validation_data.name", "nothing"), "no data set is called 'nothing'"),
    ],
)
def test_fit_refuses_what_it_needs_at_its_end_before_it_begins(
    command, model_folder, tmp_path, monkeypatch, words, says
):
    monkeypatch.setattr("roadanomaly.cli.fit.fit", lambda *_: pytest.fail("it has begun"))
    data = ("--data.name", "streets", "--data.count", 2)
    words = ("--run", model_folder, "--detector.name", "mahalanobis", *data, *words)
    code, _, told = command("fit", *words, "--out", tmp_path / "fitted")
    assert code == 2
    assert says in told


def test_a_set_without_splits_sets_the_threshold_itself():
    own = {"name": "folder", "images": "my_frames", "kind": "ordinary"}
    assert held_out_part(own) == own
    assert held_out_part({"name": "streets"}) == {"name": "streets", "split": "val"}


@pytest.mark.slow
def test_fit_takes_ordinary_frames_without_labels(command, model_folder, photos, tmp_path):
    data = ("--data.name", "folder", "--data.images", photos, "--data.kind", "ordinary")
    code, said, told = command("fit", "--run", model_folder, *data, "--out", tmp_path / "mine")
    assert code == 0, told
    assert "of inlier pixels of folder all score above" in said
