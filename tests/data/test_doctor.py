"""`data check` on the benchmarks' sets: counts, what is missing or too many, and exit codes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from roadanomaly.cli.main import main
from roadanomaly.data import DATASETS
from roadanomaly.data.bdd_anomaly import BddAnomaly
from roadanomaly.data.doctor import NOTE, diagnose
from roadanomaly.data.fishyscapes import VALIDATION, FishyscapesLostAndFound
from roadanomaly.data.lost_and_found import LostAndFound
from roadanomaly.data.smiyc import SmiycAnomaly, SmiycObstacle
from roadanomaly.data.streethazards import StreetHazards
from roadanomaly.errors import DataError, OptionError
from tests import layouts

SCENES = {"gravel": 327, "snowstorm1": 55, "driveway": 30}


@pytest.fixture(scope="module")
def anomaly_track(tmp_path_factory):
    return layouts.smiyc_anomaly(
        tmp_path_factory.mktemp("whole"), SmiycAnomaly.official("test"), ".jpg"
    )


def text(found) -> str:
    return "\n".join(found.lines)


def check(capsys, *words) -> tuple[int, str, str]:
    code = main(["data", "check", *map(str, words)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_a_complete_track_is_complete(anomaly_track, capsys):
    code, out, _ = check(capsys, "smiyc-anomaly", "--root", anomaly_track)
    assert code == 0
    assert "110 = 100 test (truth hidden) + 10 validation" in out
    assert "images: 110 (110 .jpg): the whole track" in out
    assert "split test: 100 of 100 frames, 0 with truth, 100 hidden" in out
    assert "licence:" in out
    assert "problem:" not in out


def test_missing_frames_are_counted_named_and_where_to_get_them(tmp_path, capsys):
    test = SmiycAnomaly.official("test") - {"cow0003", "zebra0001"}
    root = layouts.smiyc_anomaly(tmp_path, [*test, "cow0099"])
    code, out, err = check(capsys, "smiyc-anomaly", "--root", root / "dataset_AnomalyTrack")
    assert code == 2
    assert "problem: the split test has 99 frames, not 100: 1 missing" in out
    assert "missing are cow0003, zebra0001; superfluous are cow0099." in out
    assert "where to get the rest: https://zenodo.org/record/5270237" in out
    assert "problems" in err
    assert "Traceback" not in err


def test_as_many_as_there_should_be_but_not_the_same(tmp_path):
    test = SmiycAnomaly.official("test") - {"cow0003"}
    root = layouts.smiyc_anomaly(tmp_path, [*test, "cow0099"])
    assert "missing are cow0003; superfluous are cow0099" in text(diagnose(SmiycAnomaly, root))


def test_one_split_may_be_asked_for(tmp_path, capsys):
    root = layouts.smiyc_anomaly(tmp_path)
    code, out, _ = check(capsys, "smiyc-anomaly", "--root", root, "--split", "validation")
    assert code == 0
    assert "frames: 10 read of 10" in out
    with pytest.raises(OptionError, match="`validation`"):
        diagnose(SmiycAnomaly, root, split="validatoin")


@pytest.mark.parametrize(
    ("more", "images", "said"),
    [
        ((), 442, "the whole download"),
        ([f"validation_{i}" for i in (19, *range(21, 30))], 452, "older archive"),
    ],
)
def test_the_obstacle_track_adds_up(tmp_path, more, images, said):
    ids = [f"{scene}_{i}" for scene, count in SCENES.items() for i in range(count)]
    found = diagnose(SmiycObstacle, layouts.smiyc_obstacle(tmp_path, [*ids, *more]), limit=3)
    assert f"images: {images} ({images} .webp): " in text(found)
    assert said in text(found)
    assert "split noNight: 382 of 382" in text(found)
    assert "split validation: 30 of 30 frames, 30 with truth" in text(found)
    too_many = "problem: the split all has 452 frames, not 442: 10 too many."
    assert found.problems == ((too_many,) if more else ())
    assert "442 = 327 test + 55 snowstorm + 30 night + 30 val" in SmiycObstacle.card.sums[0]


def test_files_of_no_split_and_lone_labels(tmp_path):
    root = layouts.smiyc_obstacle(tmp_path, ["village_bag_1"])
    images = root / "dataset_ObstacleTrack" / "images"
    (images / "validation_7.webp").unlink()
    found = text(diagnose(SmiycObstacle, root))
    assert "1 label files have no image: validation_7." in found
    assert "1 files are superfluous, of no split of smiyc-obstacle: village_bag_1." in found


def test_a_public_label_is_missing(tmp_path):
    root = layouts.smiyc_anomaly(tmp_path)
    next(root.rglob("validation0004_labels_semantic.png")).unlink()
    found = diagnose(SmiycAnomaly, root, split="validation")
    assert found.problems == (
        "problem: 1 frames whose truth is public have no label file: validation0004.",
    )


def test_broken_files_stray_ids_and_sizes_are_found(tmp_path):
    root = layouts.laf(tmp_path)
    photo = next(root.rglob("04_*_leftImg8bit.png"))
    photo.write_bytes(photo.read_bytes()[:-9])
    layouts.write_ids(next(root.rglob("13_*_labelIds.png")), (0, 1, 230))
    small = next(root.rglob("02_*000010_gtCoarse_labelIds.png"))
    layouts.write_ids(small, (1, 2), (12, 16))
    found = diagnose(LostAndFound, root)
    for said in ("truncated", "16×12", "the id 230 stands in 1 label files"):
        assert any(said in problem for problem in found.problems)
    notes = [line for line in found.lines if line.startswith(NOTE)]
    assert "are not 2048×1024" in notes[0]


def test_frames_of_another_set_are_superfluous(tmp_path):
    layouts.laf(tmp_path)
    layouts.cityscapes(tmp_path / "dataset_LostAndFound")
    found = text(diagnose(LostAndFound, tmp_path))
    assert "4 files are superfluous, of no split of laf: aachen_000000_000019" in found


def test_complete_fishyscapes_validation(tmp_path):
    layouts.laf(tmp_path, test=VALIDATION, train=())
    layouts.fishyscapes_laf(tmp_path, sorted(VALIDATION))
    assert diagnose(FishyscapesLostAndFound, tmp_path).problems == ()


@pytest.mark.parametrize("inside", [True, False])
def test_the_other_track_is_recognised(tmp_path, inside):
    root = layouts.smiyc_obstacle(tmp_path)
    given = root / "dataset_ObstacleTrack" if inside else root
    try:
        said = text(diagnose(SmiycAnomaly, given))
    except DataError as error:
        said = str(error)
    assert "The folder dataset_ObstacleTrack is that of `smiyc-obstacle`" in said


def test_a_town_is_absent(tmp_path):
    root = layouts.streethazards(tmp_path)
    for path in root.rglob("t6/*.png"):
        path.unlink()
    assert "problem: the split t6 has no frame." in diagnose(StreetHazards, root).problems


@pytest.mark.parametrize("name", ["fishyscapes-static", "bdd-anomaly", "issu", "laf-noknown"])
def test_every_set_is_diagnosed_by_the_command(tmp_path, capsys, name):
    getattr(layouts, name)(tmp_path)
    code, out, err = check(capsys, name, "--root", tmp_path, "--limit", 1)
    card = DATASETS.get(name).card
    assert code == 2
    assert f"of {card.splits[card.default].frames} frames" in out
    assert "frames: 1 read of" in out
    assert "problems" in err
    assert "unverified: " in out


def test_static_takes_cityscapes_from_an_option(tmp_path, capsys):
    layouts.fishyscapes_static(tmp_path)
    (tmp_path / "cityscapes").rename(tmp_path / "elsewhere")
    words = ("fishyscapes-static", "--root", tmp_path)
    assert "option `cityscapes`" in check(capsys, *words)[1]
    out = check(capsys, *words, "--data.cityscapes", tmp_path / "elsewhere")[1]
    assert "2 read of 2, 0 with problems" in out
    code, _, err = check(capsys, *words, "--data.citiscapes", "x")
    assert code == 2
    assert "`cityscapes`" in err


def test_roadanomaly_must_have_sixty(tmp_path, capsys):
    root: Path = layouts.roadanomaly(tmp_path)
    code, out, _ = check(capsys, "roadanomaly", "--root", root)
    assert code == 2
    assert "3 of the 60 published frames" in out
    layouts.roadanomaly(tmp_path / "whole", count=60)
    assert check(capsys, "roadanomaly", "--root", tmp_path / "whole")[0] == 0


def test_a_set_of_anomalies_that_shows_none_is_told(tmp_path, capsys):
    root = layouts.validation_dataset(tmp_path)
    masks = root / "RoadAnomaly21" / "labels_masks"
    layouts.write_all(masks, (f"{i}.png" for i in range(10)), (0, 255, 255, 0))
    words = ("smiyc-anomaly", "--root", root)
    code, out, _ = check(capsys, *words)
    assert code == 2
    assert (
        "problem: the masks of the frames that were read show no anomaly, so nothing can be "
        "scored. The set defines: 0 inlier, 1 anomaly, 255 ignore"
    ) in out
    code, out, _ = check(capsys, *words, "--limit", 3)
    assert code == 0
    assert "note: the masks of the frames that were read show no anomaly; read all" in out
    layouts.write_all(masks, ["7.png"], (0, 255, 1, 0))
    assert check(capsys, *words)[0] == 0


def test_splits_to_train_on_may_lack_anomalies(tmp_path):
    layouts.bdd_anomaly(tmp_path)
    found = diagnose(BddAnomaly, tmp_path, split="train")
    assert "truth: inlier" in text(found)
    assert "no anomaly;" not in text(found)
    assert "no anomaly," not in text(found)


@pytest.mark.parametrize(("name", "label"), [("laf", "labelIds"), ("bdd-anomaly", "train_id")])
def test_a_broken_label_does_not_stop_the_walk(tmp_path, capsys, name, label):
    getattr(layouts, name)(tmp_path)
    path = sorted(tmp_path.rglob(f"*{label}.png"))[-1]
    path.write_bytes(path.read_bytes()[:-20])
    code, out, _ = check(capsys, name, "--root", tmp_path)
    assert code == 2
    assert path.name in out
    assert "1 with problems" in out


def test_a_damaged_overlay_is_named(tmp_path, capsys):
    layouts.fishyscapes_static(tmp_path)
    cut, bent = sorted(tmp_path.rglob("*_rgb.npz"))
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    whole = bytearray(bent.read_bytes())
    whole[80:90] = bytes(10)
    bent.write_bytes(whole)
    code, out, _ = check(capsys, "fishyscapes-static", "--root", tmp_path)
    assert code == 2
    assert "2 read of 2, 2 with problems" in out
    for path in (cut, bent):
        assert f"the overlay {path} cannot be read" in out


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [
        ("bdd100k", "void", "banana"),
        ("issu", "track", "banana"),
        ("issu", "root", 5),
        ("issu", "split", 3),
        ("coco", "root", 5),
        ("coco", "split", 3),
    ],
)
def test_values_of_options_are_checked(tmp_path, capsys, name, option, value):
    words = ["--root", tmp_path, f"--data.{option}", value]
    code, _, err = check(capsys, name, *words)
    assert code == 2
    assert f"the data set `{name}`: option" in err
    assert option in err
    assert str(value) in err


def test_the_track_decides_what_is_judged(tmp_path, capsys):
    """Of 21 stripes 19 are classes, one of them road, one the anomaly and one is ignored."""
    layouts.issu(tmp_path)
    shares = {}
    for track in ("anomaly", "obstacle"):
        _, out, _ = check(capsys, "issu", "--root", tmp_path, "--data.track", track)
        told = next(line for line in out.splitlines() if line.startswith("truth: "))
        words = [word.split() for word in told.removeprefix("truth: ").split(", ")]
        shares[track] = {meaning: float(share[:-1]) for meaning, share in words}
    stripes = np.bincount(np.arange(layouts.WIDTH) * 21 // layouts.WIDTH) / layouts.WIDTH * 100
    expected = {"inlier": stripes[:19].sum(), "anomaly": stripes[19], "ignore": stripes[20]}
    assert shares["anomaly"] == pytest.approx(expected, abs=0.01)
    expected |= {"inlier": stripes[0], "ignore": stripes[1:19].sum() + stripes[20]}
    assert shares["obstacle"] == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize(("name", "option"), [("issu", "track"), ("bdd100k", "void")])
def test_both_ways_of_opening_know_the_words(tmp_path, name, option):
    getattr(layouts, name)(tmp_path)
    kind = DATASETS.get(name)
    told = f"`{option}` of {name} is 'ignoer'; "
    with pytest.raises(OptionError, match=told):
        kind(root=tmp_path, **{option: "ignoer"})
    with pytest.raises(OptionError, match=told):
        kind.open_everything(tmp_path, {option: "ignoer"})
