"""The benchmarks' data sets: which frame is of which split, what an id means, what is hidden."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from roadanomaly.data import DATASETS
from roadanomaly.data.bdd_anomaly import BddAnomaly
from roadanomaly.data.benchmark import BenchmarkSet
from roadanomaly.data.fishyscapes import VALIDATION, FishyscapesLostAndFound, FishyscapesStatic
from roadanomaly.data.issu import Issu
from roadanomaly.data.lost_and_found import UNLABELLED, LostAndFound, LostAndFoundNoKnown
from roadanomaly.data.oodis import OodisFishyscapes, OodisRoadAnomaly, OodisRoadObstacle
from roadanomaly.data.smiyc import SmiycAnomaly, SmiycObstacle
from roadanomaly.data.streethazards import StreetHazards
from roadanomaly.errors import DataError, OptionError
from tests import layouts

SETS = [name for name in DATASETS if issubclass(DATASETS.get(name), BenchmarkSet)]


def values(mask) -> list[int]:
    """Return the values of a mask of stripes, from left to right."""
    row = mask[0].tolist()
    return [row[0], *(b for a, b in pairwise(row) if a != b)]


@pytest.mark.parametrize("name", SETS)
def test_root_holds_the_top_folder_or_is_it(tmp_path: Path, name, monkeypatch):
    getattr(layouts, name)(tmp_path)
    held = DATASETS.build(name, {"root": str(tmp_path)})
    monkeypatch.setenv("ROADANOMALY_DATA", str(tmp_path))
    for frames in (DATASETS.build(name, {"root": str(held.root)}), DATASETS.build(name, {})):
        assert frames.ids == held.ids
        assert frames.root.resolve() == held.root.resolve()


@pytest.mark.parametrize("name", SETS)
def test_the_card_is_complete(name):
    card = DATASETS.get(name).card
    assert card.name == name
    assert card.default in card.splits
    for fact in (card.source, card.licence, card.where, card.layout, card.coding):
        assert fact
    lines = "\n".join(card.as_lines())
    assert card.where in lines
    assert all(line in lines for line in (*card.sums, *card.unverified))
    assert all(split.rule for split in card.splits.values())


@pytest.mark.parametrize("name", SETS)
def test_another_split_is_refused(tmp_path: Path, name):
    getattr(layouts, name)(tmp_path)
    with pytest.raises(OptionError, match=f"`split` of {name} is 'nightly'"):
        DATASETS.build(name, {"root": str(tmp_path), "split": "nightly"})


@pytest.mark.parametrize("name", SETS)
def test_a_folder_of_another_layout_is_refused(tmp_path: Path, name):
    (tmp_path / "photos").mkdir()
    with pytest.raises(DataError, match=rf"not the layout of `{name}`.*holds photos/.*Download"):
        DATASETS.build(name, {"root": str(tmp_path)})
    with pytest.raises(DataError, match=r"was looked for in .*absent"):
        DATASETS.build(name, {"root": str(tmp_path / "absent")})


def test_anomaly_track_splits_have_the_published_counts():
    assert {name: len(SmiycAnomaly.official(name)) for name in SmiycAnomaly.card.splits} == {
        **{"all": 110, "test": 100, "validation": 10, "animals": 59, "vehicles": 23, "other": 11}
    }
    assert "carriage0001" in SmiycAnomaly.official("vehicles")
    assert "carriage0000" not in SmiycAnomaly.official("vehicles")


def test_anomaly_track_hides_the_truth_of_the_test(tmp_path: Path):
    root = layouts.smiyc_anomaly(tmp_path)
    shown = SmiycAnomaly(root=root)
    assert shown.split == "validation"
    assert values(shown[0].anomaly) == [0, 1, 255, 0]
    assert shown.hidden(shown.ids[0]) is None
    test = SmiycAnomaly("test", root)
    assert test.ids == sorted(layouts.ANOMALY_TEST)
    assert test[0].truth is None
    reason = test.hidden(test.ids[0])
    assert "hidden" in reason
    assert "score the split validation instead" in reason
    assert "submission" in reason
    assert test.record()["frames"] == "4 of 100"
    both = SmiycAnomaly("all", root)
    assert [both.hidden(key) is None for key in both.ids] == [k[0] == "v" for k in both.ids]
    assert SmiycAnomaly("vehicles", root).ids == ["carriage0001"]
    assert SmiycAnomaly("other", root).ids == ["tent0000"]


def test_a_missing_public_label_is_no_hidden_one(tmp_path: Path):
    layouts.smiyc_anomaly(tmp_path)
    next(tmp_path.rglob("validation0003_labels_semantic.png")).unlink()
    with pytest.raises(DataError, match=r"1 of 10 frames .*public: validation0003"):
        SmiycAnomaly(root=tmp_path)
    assert len(SmiycAnomaly("test", tmp_path)) == 4


def test_an_id_that_is_not_defined_is_ignored_as_officially(tmp_path: Path):
    layouts.smiyc_anomaly(tmp_path)
    layouts.write_ids(next(tmp_path.rglob("*0000_labels_semantic.png")), (0, 7, 1, 254))
    assert values(SmiycAnomaly(root=tmp_path)[0].anomaly) == [0, 255, 1, 255]


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_images_of_every_format_are_read(tmp_path: Path, suffix):
    layouts.smiyc_obstacle(tmp_path / "smiyc", suffix=suffix)
    layouts.laf(tmp_path / "laf", suffix=suffix)
    for frames in (SmiycObstacle(root=tmp_path / "smiyc"), LostAndFound(root=tmp_path / "laf")):
        assert frames[0].image.shape == (3, layouts.HEIGHT, layouts.WIDTH)


def test_one_id_in_two_formats_is_refused(tmp_path: Path):
    layouts.smiyc_anomaly(tmp_path, suffix=".jpg")
    layouts.smiyc_anomaly(tmp_path, suffix=".png")
    with pytest.raises(DataError, match=r"two files have the id"):
        SmiycAnomaly(root=tmp_path)


@pytest.mark.parametrize(
    ("frame_id", "splits"),
    [
        ("curvy-street_inliner_hubcap_9", {"all", "test", "noNight"}),
        ("darkasphalt2_dog_1", {"all", "test", "noNight"}),
        ("snowstorm2_00_04_46.303", {"all", "snowstorm", "noNight"}),
        ("driveway_carton_bowl_3", {"all", "night"}),
        ("validation_1", {"all", "validation"}),
        ("validation_20", {"all", "validation"}),
        ("validation_19", {"all"}),
        ("validation_21", {"all"}),
        ("validation_29", {"all"}),
        ("validation_30", {"all", "validation"}),
        ("village_bag_1", set()),
    ],
)
def test_obstacle_track_splits_go_by_scene(frame_id, splits):
    assert SmiycObstacle.splits_of(frame_id) == splits


def test_obstacle_track_ids_with_points_stay_whole(tmp_path: Path):
    root = layouts.smiyc_obstacle(tmp_path, ("snowstorm2_00_04_46.303",))
    assert SmiycObstacle("snowstorm", root).ids == ["snowstorm2_00_04_46.303"]
    assert len(SmiycObstacle(root=root)) == 30


def test_lost_and_found_codes_road_and_cargo(tmp_path: Path):
    root = layouts.laf(tmp_path)
    assert values(LostAndFound(root=root)[0].anomaly) == [255, 0, 1]
    label = next(tmp_path.rglob("02_*000010_gtCoarse_labelIds.png"))
    layouts.write_ids(label, (0, 1, 2, 200, 201, 255, 1))
    assert values(LostAndFound(root=root)[0].anomaly) == [255, 0, 1, 255, 0]
    assert len(LostAndFound("train", root)) == 2


def test_lost_and_found_without_unlabelled_and_known(tmp_path: Path):
    root = layouts.laf(tmp_path)
    layouts.write_ids(next(tmp_path.rglob("04_*_labelIds.png")), (0,))
    assert len(LostAndFound("test", root)) == 4
    assert len(LostAndFound("testValid", root)) == 3
    assert LostAndFoundNoKnown(root=root).ids == [i for i in layouts.LAF_TEST if i[:2] == "02"]
    assert len(LostAndFound("trainValid", root)) == 2


@pytest.mark.slow
def test_lost_and_found_whole_test_takes_the_official_places(tmp_path: Path):
    early = [f"02_Hanns_Klemm_Str_44_000000_{i:06d}" for i in range(1060)]
    late = [f"15_Rechbergstr_Deckenpfronn_000000_{i:06d}" for i in range(143)]
    root = layouts.laf(tmp_path, test=early + late, train=())
    counts = {name: len(LostAndFound(name, root)) for name in ("test", "testValid", "testNoKnown")}
    assert counts == {"test": 1203, "testValid": 1186, "testNoKnown": 1043}
    dropped = set(early) - set(LostAndFoundNoKnown(root=root).ids)
    assert dropped == {early[place] for place in UNLABELLED["test"]}


def test_fishyscapes_lost_and_found_takes_its_own_labels(tmp_path: Path):
    root = layouts.fishyscapes_laf(tmp_path)
    frames = FishyscapesLostAndFound(root=root)
    assert frames.ids == sorted([*layouts.LAF_TEST[:2], layouts.LAF_TRAIN[1]])
    assert values(frames[0].anomaly) == [0, 1, 255, 0]
    other = tmp_path / "dataset_FishyLAF" / "labels" / "val"
    labels = (tmp_path / "fishyscapes" / "fishyscapes_lostandfound").iterdir()
    for path in sorted(labels):
        other.mkdir(parents=True, exist_ok=True)
        path.rename(other / f"{path.stem[5:-7]}_fishy-labels.png")
    again = FishyscapesLostAndFound(root=tmp_path / "dataset_FishyLAF")
    assert again.ids == frames.ids


def test_fishyscapes_lost_and_found_has_a_hundred_known_ids():
    assert len(VALIDATION) == FishyscapesLostAndFound.card.splits["val"].frames == 100
    assert "04_Maurener_Weg_8_000000_000030" in VALIDATION


def test_fishyscapes_static_adds_the_overlay(tmp_path: Path):
    frames = FishyscapesStatic(root=layouts.fishyscapes_static(tmp_path))
    frame = frames[0]
    base = cv2.imread(str(next(tmp_path.rglob("*046504_leftImg8bit.png"))))[..., ::-1]
    expected = base.copy()
    pasted = slice(layouts.WIDTH // 4, layouts.WIDTH // 2)
    expected[:, pasted, 0], expected[:, pasted, 1] = 255, 0
    np.testing.assert_array_equal(frame.image.permute(1, 2, 0), expected)
    assert (frame.anomaly[:, pasted] == 1).all()
    assert frame.id == layouts.STATIC_IDS[0]


def test_fishyscapes_static_wants_cityscapes_or_finished_images(tmp_path: Path):
    layouts.fishyscapes_static(tmp_path)
    (tmp_path / "cityscapes").rename(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="`cityscapes`"):
        FishyscapesStatic(root=tmp_path)[0]
    named = FishyscapesStatic(root=tmp_path, cityscapes=tmp_path / "elsewhere")
    for index, key in enumerate(layouts.STATIC_IDS):
        pixels = named[index].image.permute(1, 2, 0).numpy()[..., ::-1]
        path = tmp_path / "fishyscapes" / "fs_static_images" / f"{key}_rgb.png"
        path.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(path), pixels)
    assert (FishyscapesStatic(root=tmp_path)[1].image == named[1].image).all()


def test_streethazards_classes_and_towns(tmp_path: Path):
    root = layouts.streethazards(tmp_path)
    frames = StreetHazards(root=root)
    assert frames.ids == ["t5_300", "t5_301", "t6_300"]
    assert values(frames[0].label) == [0, 1, 2, 255, *range(3, 12), 254]
    assert values(frames[0].anomaly) == [0, 255, 0, 1]
    assert frames.classes[3:5] == ("pedestrian", "pole")
    assert len(frames.classes) == 12
    assert StreetHazards("t6", root).ids == ["t6_300"]
    assert StreetHazards("train", root).ids == ["train_t1_100", "train_t1_101"]
    assert len(StreetHazards("val", root)) == 1


def test_streethazards_archives_unpacked_apart(tmp_path: Path):
    layouts.streethazards(tmp_path)
    for part in ("train", "test"):
        (tmp_path / f"streethazards_{part}").mkdir()
        (tmp_path / "streethazards" / part).rename(tmp_path / f"streethazards_{part}" / part)
    assert len(StreetHazards("t5", tmp_path)) == 2
    assert len(StreetHazards("train", tmp_path)) == 2


def test_bdd_anomaly_frames_go_by_what_they_show(tmp_path: Path):
    root = layouts.bdd_anomaly(tmp_path)
    frames = BddAnomaly(root=root)
    assert [values(frame.anomaly) for frame in frames] == [[0, 1, 255], [0, 1, 0]]
    assert values(frames[1].label) == [13, 254, 2]
    assert len(BddAnomaly("train", root)) == 1
    with pytest.raises(DataError, match="no frame of the split `val`"):
        BddAnomaly("val", root)


def test_bdd_anomaly_lists_decide(tmp_path: Path):
    root = layouts.bdd_anomaly(tmp_path)
    rows = [{"fpath_img": f"seg/images/train/{name}.jpg"} for name in ("t03-0000", "t02-0000")]
    (root / "bdd100k" / "anom.odgt").write_text(json.dumps(rows[1:]))
    (root / "bdd100k" / "train.odgt").write_text(json.dumps(rows[0]) + "\n")
    assert BddAnomaly(root=root).ids == ["t02-0000"]
    assert BddAnomaly("train", root).ids == ["t03-0000"]
    (root / "bdd100k" / "train.odgt").write_text("[1]")
    with pytest.raises(DataError, match=r"train.odgt is no list"):
        BddAnomaly(root=root)


def test_bdd_anomaly_newer_layout(tmp_path: Path):
    layouts.write_photo(tmp_path / "images" / "10k" / "val" / "a.jpg", 0)
    layouts.write_ids(tmp_path / "labels" / "sem_seg" / "masks" / "val" / "a.png", (0, 18))
    assert BddAnomaly(root=tmp_path).ids == ["a"]


def test_issu_tracks(tmp_path: Path):
    root = layouts.issu(tmp_path)
    assert values(Issu(root=root)[0].anomaly) == [0, 1, 255]
    assert values(Issu(root=root, track="obstacle")[0].anomaly) == [0, 255, 1, 255]
    assert values(Issu(root=root)[0].label) == [*range(19), 254, 255]
    assert [len(Issu(split, root)) for split in ("static", "temporal")] == [2, 1]
    with pytest.raises(OptionError, match="`track` of issu"):
        Issu(root=root, track="road")


def test_oodis_tracks(tmp_path: Path):
    frames = OodisFishyscapes(root=layouts.oodis_fishyscapes(tmp_path / "laf"))
    assert len(frames) == 6
    first, cargo = layouts.LAF_TEST[0], frames.instances(layouts.LAF_TEST[0])
    assert values(cargo) == [0, 1, 1000, 24001]
    assert frames.instances(layouts.LAF_TRAIN[0]) is None
    assert frames.prediction_file(first) == f"{first}_gtCoarse_instanceIds_pred.txt"

    hidden = OodisRoadAnomaly(root=layouts.smiyc_anomaly(tmp_path / "a"))
    assert hidden.ids == sorted(layouts.ANOMALY_TEST)
    assert hidden[0].truth is None
    assert "oodis-roadanomaly keeps it" in hidden.hidden(hidden.ids[0])
    assert hidden.prediction_file("cow0000") == "cow0000_instanceIds_pred.txt"
    obstacles = OodisRoadObstacle(root=layouts.smiyc_obstacle(tmp_path / "o"))
    assert obstacles.ids == sorted(layouts.OBSTACLE_TEST)


def test_oodis_instances_that_are_no_map(tmp_path: Path):
    frames = OodisFishyscapes(root=layouts.oodis_fishyscapes(tmp_path))
    key = layouts.LAF_TEST[0]
    next(tmp_path.rglob(f"{key}_gtCoarse_instanceIds.png")).write_bytes(b"no image")
    with pytest.raises(DataError, match="no instance map"):
        frames.instances(key)


def test_image_and_label_of_two_sizes(tmp_path: Path):
    layouts.issu(tmp_path)
    layouts.write_ids(next(tmp_path.rglob("labels_masks/static_0_009599.png")), (0,), (24, 30))
    with pytest.raises(DataError, match="must be equal"):
        Issu(root=tmp_path)[0]
