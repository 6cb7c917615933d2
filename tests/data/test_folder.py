"""Plain folders: how labels are found, what their values mean, what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from roadanomaly.data.class_names import CITYSCAPES
from roadanomaly.data.folder import LABEL_ENDINGS, Folder
from roadanomaly.errors import DataError, OptionError
from tests import layouts


def ids_in(mask):
    return mask.unique().tolist()


@pytest.mark.parametrize("ending", LABEL_ENDINGS)
def test_masks_are_found_by_name(tmp_path: Path, ending):
    layouts.folder(tmp_path, ending=ending)
    frames = Folder(tmp_path / "images", tmp_path / "masks")
    assert [frame.id for frame in frames] == [f"validation{i:04d}" for i in range(3)]
    assert ids_in(frames[0].anomaly) == [0, 1, 255]
    assert frames.classes == ()
    assert frames.record() == {
        "name": "folder",
        "split": "all",
        "labels": "anomaly",
        "count": 3,
        "root": "images",
    }


def test_without_labels_nothing_is_known(tmp_path: Path):
    layouts.folder(tmp_path)
    frame = Folder(tmp_path / "images")[0]
    assert frame.truth is None
    assert frame.image.shape == (3, 24, 32)


def test_glob_takes_some(tmp_path: Path):
    layouts.folder(tmp_path)
    layouts.write_photo(tmp_path / "images" / "test0000.png", 0)
    with pytest.raises(DataError, match=r"1 of 4 images have no label .*test0000.*glob"):
        Folder(tmp_path / "images", tmp_path / "masks")
    assert len(Folder(str(tmp_path / "images" / "validation*.png"), tmp_path / "masks")) == 3


def test_one_file_is_a_set_of_one(tmp_path: Path):
    layouts.folder(tmp_path)
    frames = Folder(tmp_path / "images" / "validation0001.png")
    assert [frame.id for frame in frames] == ["validation0001"]
    assert frames.record()["root"] == "images"


def test_values_say_what_a_mask_means(tmp_path: Path):
    layouts.folder(tmp_path)
    values = {"inlier": [0], "anomaly": [255], "ignore": [1]}
    mask = Folder(tmp_path / "images", tmp_path / "masks", values=values)[0].anomaly
    np.testing.assert_array_equal(mask[0, ::8], [0, 255, 1, 0])


def test_value_without_meaning_is_refused(tmp_path: Path):
    layouts.folder(tmp_path)
    with pytest.raises(DataError, match=r"\[1, 255\]"):
        Folder(tmp_path / "images", tmp_path / "masks", values={"inlier": [0]})[0]


def test_class_labels(tmp_path: Path):
    layouts.folder(tmp_path)
    frames = Folder(tmp_path / "images", tmp_path / "masks", kind="classes")
    assert frames.classes == CITYSCAPES
    assert ids_in(frames[0].label) == [0, 1, 255]
    own = Folder(tmp_path / "images", tmp_path / "masks", kind="classes", classes=["road"])
    assert own.classes == ("road",)
    with pytest.raises(DataError, match=r"\[1\].*defines 0, 252 to 255"):
        own[0]


def test_cityscapes_label_ids(tmp_path: Path):
    layouts.folder(tmp_path)
    layouts.write_ids(tmp_path / "masks" / "validation0000_labels_semantic.png", (7, 33, 4))
    frame = Folder(tmp_path / "images", tmp_path / "masks", kind="label_ids")[0]
    assert ids_in(frame.label) == [0, 18, 255]


def test_subfolders_give_ids_of_their_path(tmp_path: Path):
    for scene in ("a", "b"):
        layouts.write_photo(tmp_path / "images" / scene / "0.png", 0)
        layouts.write_ids(tmp_path / "masks" / scene / "0_mask.png", (0, 1))
    frames = Folder(tmp_path / "images", tmp_path / "masks", recursive=True)
    assert [frame.id for frame in frames] == ["a__0", "b__0"]
    with pytest.raises(DataError, match="`recursive` looks into subfolders"):
        Folder(tmp_path / "images")


def test_two_images_of_one_name(tmp_path: Path):
    layouts.folder(tmp_path)
    layouts.write_photo(tmp_path / "images" / "validation0000.jpg", 0)
    with pytest.raises(DataError, match=r"two images have the name validation0000.*`images`"):
        Folder(tmp_path / "images")


def test_two_labels_of_one_name(tmp_path: Path):
    layouts.folder(tmp_path)
    labels = sorted((tmp_path / "masks").iterdir())
    doubled = labels[0].with_suffix(".webp")
    doubled.write_bytes(labels[0].read_bytes())
    said = f"two labels have the name {doubled.stem}.* move one out of `labels`"
    with pytest.raises(DataError, match=said):
        Folder(tmp_path / "images", tmp_path / "masks")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"kind": "class"}, "did you mean `classes`"),
        ({"values": {"outlier": [1]}}, "did you mean `inlier`"),
        ({"values": {"inlier": [0, 1], "anomaly": [1]}}, "gives 1 to anomaly"),
        ({"values": {"inlier": [256]}}, "gives 256"),
        ({"kind": "classes", "values": {"inlier": [0]}}, "belongs to kind `anomaly`"),
    ],
)
def test_options_are_checked(tmp_path: Path, options, said):
    with pytest.raises(OptionError, match=said):
        Folder(layouts.folder(tmp_path) / "images", **options)


def test_absent_folders(tmp_path: Path):
    with pytest.raises(DataError, match="there is no such path"):
        Folder(tmp_path / "absent")
    layouts.folder(tmp_path)
    with pytest.raises(DataError, match="is not a folder"):
        Folder(tmp_path / "images", tmp_path / "absent")


def many(tmp_path: Path, count=40):
    folder = tmp_path / "roads" / "images"
    folder.mkdir(parents=True)
    for number in range(count):
        layouts.write_photo(folder / f"road_{number:03d}.png", number)
    return folder


def test_parts_share_no_image_and_hold_all_of_them(tmp_path: Path):
    folder = many(tmp_path)
    train, held_out = (Folder(folder, kind="ordinary", part=p) for p in ("train", "held_out"))
    whole = Folder(folder, kind="ordinary")
    assert not set(train.ids) & set(held_out.ids)
    assert sorted([*train.ids, *held_out.ids]) == whole.ids
    assert 0 < len(held_out) < len(train)
    assert held_out.set_ids() == whole.ids
    assert held_out.record()["part"] == "held_out"
    assert "part" not in whole.record()


def test_an_image_stays_in_its_part_when_others_come_and_the_share_grows(tmp_path: Path):
    folder = many(tmp_path)
    before = set(Folder(folder, kind="ordinary", part="held_out").ids)
    layouts.write_photo(folder / "another.png", 1)
    assert set(Folder(folder, kind="ordinary", part="held_out").ids) - {"another"} == before
    assert before <= set(Folder(folder, kind="ordinary", part="held_out", held_out=0.5).ids)


def test_an_empty_part_and_an_unknown_one_are_refused(tmp_path: Path):
    folder = many(tmp_path, 3)
    with pytest.raises(DataError, match="`part` = held_out of folder is empty: none of 3"):
        Folder(folder, kind="ordinary", part="held_out", held_out=0)
    with pytest.raises(OptionError, match="`held_out`"):
        Folder(folder, kind="ordinary", part="heldout")
    with pytest.raises(OptionError, match="between 0 and 1"):
        Folder(folder, kind="ordinary", part="held_out", held_out=2)


def test_a_folder_may_lie_below_the_root_of_the_data_sets(tmp_path: Path, monkeypatch):
    many(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ROADANOMALY_DATA", str(tmp_path / "elsewhere"))
    with pytest.raises(DataError, match=r"nor one below .*elsewhere"):
        Folder("plain", kind="ordinary")
    monkeypatch.setenv("ROADANOMALY_DATA", str(tmp_path))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    assert len(Folder("roads/images", kind="ordinary")) == 40
    assert len(Folder("roads/images/road_00*.png", kind="ordinary")) == 10
    assert len(Folder(root="roads", kind="ordinary")) == 40
    near = tmp_path / "work" / "roads" / "images"
    near.mkdir(parents=True)
    layouts.write_photo(near / "near.png", 1)
    assert Folder("roads/images", kind="ordinary").ids == ["near"]


@pytest.mark.parametrize("mask", ["{}.png", "{}_mask.png"])
def test_an_image_is_not_its_own_label(tmp_path: Path, mask):
    for i in range(3):
        layouts.write_photo(tmp_path / f"{i}.jpg", i)
        layouts.write_ids(tmp_path / mask.format(i), (0, 1, 255))
    frames = Folder(tmp_path / "*.jpg", tmp_path)
    assert [ids_in(frame.anomaly) for frame in frames] == [[0, 1, 255]] * 3
    for path in tmp_path.glob(mask.format("1")):
        path.unlink()
    with pytest.raises(DataError, match=r"1 of 3 images have no label .* 1\."):
        Folder(tmp_path / "*.jpg", tmp_path)
