"""The data sets that are read from disk, on made-up files in their layouts and on the real ones."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from roadanomaly.data import DATASETS
from roadanomaly.data.camvid import CamVid
from roadanomaly.data.cityscapes import Cityscapes
from roadanomaly.data.class_names import CAMVID, CITYSCAPES
from roadanomaly.data.roadanomaly import RoadAnomaly
from roadanomaly.errors import DataError, OptionError
from tests import layouts


def stripes(ids, width):
    return np.tile(np.array(ids)[np.arange(width) * len(ids) // width], (layouts.HEIGHT, 1))


BUILDS = {
    "camvid": lambda root: CamVid(root=layouts.camvid(root)),
    "cityscapes": lambda root: Cityscapes(root=layouts.cityscapes(root)),
    "roadanomaly": lambda root: RoadAnomaly(root=layouts.roadanomaly(root)),
}


@pytest.mark.parametrize("name", BUILDS)
def test_contract(tmp_path: Path, name):
    frames = BUILDS[name](tmp_path / "somewhere")
    read = list(frames)
    assert len(read) == len(frames) > 1
    ids = [frame.id for frame in read]
    assert ids == sorted(set(ids))
    for frame in read:
        assert frame.image.shape[0] == 3
        assert frame.truth.shape == frame.image.shape[1:]
    assert {
        "name": name,
        "count": len(read),
        "root": "somewhere",
    }.items() <= frames.record().items()
    assert str(tmp_path) not in str(frames.record())
    assert frames.source
    assert frames.licence
    assert name in DATASETS
    with pytest.raises(IndexError):
        frames[len(frames)]


def test_camvid_labels_are_train_ids(tmp_path: Path):
    frames = CamVid("val", layouts.camvid(tmp_path))
    expected = stripes([10, 2, 5, 0, 1, 8, 7, 4, 13, 11, 18, 255], layouts.WIDTH)
    np.testing.assert_array_equal(frames[1].label, expected)
    assert frames.classes == CITYSCAPES
    assert len(frames) == 2


def test_camvid_labels_are_its_own_and_void_may_be_negative(tmp_path: Path):
    frames = CamVid("train", layouts.camvid(tmp_path), classes="camvid", void="negative")
    np.testing.assert_array_equal(frames[0].label, stripes([*range(11), 254], layouts.WIDTH))
    assert frames.classes == CAMVID
    assert frames.record()["void"] == "negative"
    default = CamVid("train", tmp_path, classes="camvid")
    assert default[0].label.max() == 255


@pytest.mark.parametrize("options", [{"classes": "cityscape"}, {"void": "ignored"}])
def test_camvid_refuses_other_words(tmp_path: Path, options):
    with pytest.raises(OptionError, match="did you mean"):
        CamVid(root=tmp_path, **options)


@pytest.mark.parametrize(("gone", "partner"), [("labels", "images"), ("images", "labels")])
def test_camvid_names_the_file_without_partner(tmp_path: Path, gone, partner):
    layouts.camvid(tmp_path)
    next((tmp_path / gone / "train").glob("seq_001.*")).unlink()
    with pytest.raises(DataError, match=rf"1 of the {partner} in .*: seq_001\. Unpack") as error:
        CamVid(root=tmp_path)
    assert str(tmp_path / gone / "train") in str(error.value)


def test_camvid_split_that_is_not_there(tmp_path: Path):
    layouts.camvid(tmp_path)
    with pytest.raises(DataError, match="holds train/, val/"):
        CamVid("test", tmp_path)
    (tmp_path / "images" / "test").mkdir()
    (tmp_path / "labels" / "test").mkdir()
    with pytest.raises(DataError, match=r"no images were found in .*test is empty"):
        CamVid("test", tmp_path)


def test_camvid_label_of_another_size(tmp_path: Path):
    path = layouts.camvid(tmp_path) / "labels" / "train" / "seq_000.png"
    layouts.write_ids(path, (0, 1), (24, 30))
    with pytest.raises(DataError, match=r"32×24 .*30×24") as error:
        CamVid(root=tmp_path)[0]
    assert str(path) in str(error.value)


def test_camvid_unknown_ids(tmp_path: Path):
    path = layouts.camvid(tmp_path) / "labels" / "train" / "seq_000.png"
    layouts.write_ids(path, (0, 30, 255))
    with pytest.raises(DataError, match=r"\[30, 255\].*defines 0 to 11") as error:
        CamVid(root=tmp_path)[0]
    assert str(path) in str(error.value)


def test_cityscapes_maps_label_ids(tmp_path: Path):
    frames = Cityscapes(root=layouts.cityscapes(tmp_path))
    assert len(frames) == 4
    assert frames[0].id == "aachen_000000_000019"
    expected = [255] * 34
    for i, label_id in enumerate([7, 8, 11, 12, 13, 17, *range(19, 29), 31, 32, 33]):
        expected[label_id] = i
    np.testing.assert_array_equal(frames[0].label, stripes(expected, 68))


def test_cityscapes_takes_train_ids_where_they_are(tmp_path: Path):
    frames = Cityscapes(root=layouts.cityscapes(tmp_path, train_ids=True))
    np.testing.assert_array_equal(frames[0].label, stripes([3, 255], 68))


def test_hidden_copies_are_no_frames_of_cityscapes(tmp_path: Path):
    root = layouts.cityscapes(tmp_path)
    ids = Cityscapes(root=root).ids
    for path in [*root.rglob("aachen_000000*")]:
        for hidden in (f"._{path.name}", f".Trash-0/{path.name.replace('000000', '000007')}"):
            (path.parent / hidden).parent.mkdir(exist_ok=True)
            (path.parent / hidden).write_bytes(b"rest")
    assert Cityscapes(root=root).ids == ids


def test_cityscapes_of_one_city(tmp_path: Path):
    layouts.cityscapes(tmp_path)
    frames = Cityscapes(root=tmp_path, city="ulm")
    assert [frame.id[:3] for frame in frames] == ["ulm", "ulm"]
    with pytest.raises(DataError, match="holds aachen/, ulm/"):
        Cityscapes(root=tmp_path, city="bonn")


def test_cityscapes_missing_label(tmp_path: Path):
    layouts.cityscapes(tmp_path)
    next(tmp_path.rglob("ulm_000001*labelIds.png")).unlink()
    with pytest.raises(DataError, match=r"1 of the images .*ulm_000001_000019"):
        Cityscapes(root=tmp_path)


def test_roadanomaly_masks(tmp_path: Path):
    frame = RoadAnomaly(root=layouts.roadanomaly(tmp_path))[0]
    np.testing.assert_array_equal(frame.anomaly, stripes([0, 1, 0, 0], layouts.WIDTH))
    assert frame.label is None


def test_roadanomaly_list_decides_and_the_record_says_how_many(tmp_path: Path):
    frames = RoadAnomaly(root=layouts.roadanomaly(tmp_path, count=4, listed=2))
    assert [frame.id for frame in frames] == ["animals00_cow", "animals01_cow"]
    assert frames.record()["frames"] == "2 of 60"


def test_roadanomaly_listed_frame_is_missing(tmp_path: Path):
    layouts.roadanomaly(tmp_path, count=2, listed=5)
    with pytest.raises(DataError, match=r"3 of the 5 frames .*animals02_cow.*frame_list.json"):
        RoadAnomaly(root=tmp_path)


def test_roadanomaly_mask_is_missing_or_of_other_ids(tmp_path: Path):
    layouts.roadanomaly(tmp_path)
    mask = tmp_path / "frames" / "animals00_cow.labels" / "labels_semantic.png"
    layouts.write_ids(mask, (0, 1))
    with pytest.raises(DataError, match=r"\[1\].*defines 0, 2"):
        RoadAnomaly(root=tmp_path)[0]
    mask.unlink()
    with pytest.raises(DataError, match="animals00_cow"):
        RoadAnomaly(root=tmp_path)


@pytest.mark.parametrize("content", ["{}", "[1]", "not json"])
def test_roadanomaly_broken_list(tmp_path: Path, content):
    (layouts.roadanomaly(tmp_path) / "frame_list.json").write_text(content)
    with pytest.raises(DataError, match=r"frame_list.json should be a JSON list"):
        RoadAnomaly(root=tmp_path)


def test_roadanomaly_has_one_split(tmp_path: Path):
    with pytest.raises(OptionError, match="one split, `all`"):
        RoadAnomaly("val", tmp_path)


def real(folder: str) -> Path:
    base = os.environ.get("ROADANOMALY_DATA")
    if not base or not (Path(base) / folder).is_dir():
        pytest.skip(f"ROADANOMALY_DATA is not set or holds no {folder}/")
    return Path(base) / folder


@pytest.mark.parametrize(("split", "count"), [("train", 367), ("val", 101)])
def test_real_camvid(split, count):
    frames = CamVid(split, real("camvid"))
    assert len(frames) == count
    frame = frames[count // 2]
    assert frame.image.shape == (3, 360, 480)
    assert set(frame.label.unique().tolist()) <= {0, 1, 2, 4, 5, 7, 8, 10, 11, 13, 18, 255}


def test_real_roadanomaly():
    root = real("roadanomaly")
    frames = RoadAnomaly(root=root)
    assert len(frames) in (30, 60)
    assert frames.record()["frames"] == f"{len(frames)} of 60"
    frame = frames[0]
    stored = cv2.imread(
        str(root / "frames" / f"{frame.id}.labels" / "labels_semantic.png"), cv2.IMREAD_UNCHANGED
    )
    assert frame.image.shape == (3, 720, 1280)
    assert int((frame.anomaly == 1).sum()) == int((stored == 2).sum()) > 0
