"""COCO pictures as scenes: what is negative, known, surroundings, and which pictures count."""

from __future__ import annotations

import json

import numpy as np
import pytest

from roadanomaly.data import DATASETS
from roadanomaly.data.class_names import CITYSCAPES
from roadanomaly.data.images import write_image
from roadanomaly.errors import DataError, OptionError
from roadanomaly.negatives import NEGATIVES
from roadanomaly.types import IGNORE, INLIER, NEGATIVE

SIZE = (40, 60)
COW, CAR, CUP, HYDRANT = 1, 2, 3, 4
NAMES = {COW: "cow", CAR: "car", CUP: "cup", HYDRANT: "fire hydrant"}


def box(left, top, right, bottom):
    return [left, top, right, top, right, bottom, left, bottom]


def write(root, pictures):
    """Write pictures: `{name: (licence, [(category, corners), ...])}`; a crowd's is `-category`."""
    images, notes = [], []
    for number, (name, (licence, objects)) in enumerate(pictures.items(), 1):
        picture = np.random.default_rng(number).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
        write_image(root / "images" / f"{name}.png", picture)
        record = {"id": number, "file_name": f"{name}.png", "width": SIZE[1], "height": SIZE[0]}
        images.append(record | ({} if licence is None else {"license": licence}))
        for category, (left, top, right, bottom) in objects:
            notes.append(
                {
                    "id": len(notes),
                    "image_id": number,
                    "category_id": abs(category),
                    "iscrowd": int(category < 0),
                    "bbox": [left, top, right - left, bottom - top],
                    "segmentation": [box(left, top, right, bottom)],
                }
            )
    categories = [{"id": number, "name": name} for number, name in NAMES.items()]
    content = {"images": images, "annotations": notes, "categories": categories}
    path = root / "annotations/instances_some.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(content))
    return root


def scenes(root, **options):
    return DATASETS.build("coco_scenes", {"root": str(root), **options})


@pytest.fixture
def meadow(tmp_path):
    cow, car, hydrant = (20, 10, 40, 30), (2, 2, 12, 8), (50, 30, 55, 38)
    objects = [(COW, cow), (CAR, car), (HYDRANT, hydrant), (CAR, (25, 15, 30, 20))]
    return write(tmp_path / "set", {"meadow": (4, objects)})


def test_objects_stand_in_what_surrounds_them(meadow, tmp_path):
    surroundings = np.full(SIZE, CITYSCAPES.index("terrain"), np.uint8)
    surroundings[:, :5] = INLIER
    write_image(tmp_path / "maps/meadow.png", surroundings)
    frame = scenes(meadow, labels=str(tmp_path / "maps"), rim=3)[0]
    label = frame.label.numpy()
    car = CITYSCAPES.index("car")
    assert (label[10:15, 20:40] == NEGATIVE).all()
    assert (label[15:20, 25:30] == car).all()
    assert (label[2:8, 2:12] == car).all()
    assert (label[7:10, 22:38] == IGNORE).all()
    assert (label[30:33, 22:38] == IGNORE).all()
    assert (label[:7, 14:] == CITYSCAPES.index("terrain")).all()
    assert (label[34:, :5] == INLIER).all()
    assert (label[30:38, 50:55] == IGNORE).all()
    assert np.count_nonzero(label == NEGATIVE) == 20 * 20 - 25


def test_without_class_maps_the_surroundings_are_ignored(meadow):
    label = scenes(meadow, rim=0)[0].label.numpy()
    assert set(np.unique(label)) == {CITYSCAPES.index("car"), NEGATIVE, IGNORE}
    assert np.count_nonzero(label == NEGATIVE) == 20 * 20 - 25


def test_rooms_and_pictures_without_a_foreign_object_are_no_scenes(tmp_path):
    pictures = {
        "field": (4, [(COW, (0, 0, 20, 20))]),
        "kitchen": (4, [(COW, (0, 0, 20, 20)), (CUP, (30, 0, 40, 10))]),
        "street": (4, [(CAR, (0, 0, 20, 20))]),
    }
    assert scenes(write(tmp_path, pictures)).frame_ids() == ["field"]


def test_crowds_of_what_roads_do_not_have_are_ignored(tmp_path):
    objects = [(COW, (2, 2, 12, 12)), (-COW, (10, 20, 30, 35)), (-CAR, (40, 20, 55, 35))]
    objects.append((CAR, (20, 25, 26, 30)))
    root = write(tmp_path / "set", {"meadow": (4, objects)})
    write_image(tmp_path / "maps/meadow.png", np.full(SIZE, 9, np.uint8))
    frames = scenes(root, labels=str(tmp_path / "maps"), rim=0)
    expected = np.full(SIZE, 9)
    expected[2:12, 2:12] = NEGATIVE
    expected[20:35, 10:30] = IGNORE
    expected[25:30, 20:26] = CITYSCAPES.index("car")
    np.testing.assert_array_equal(frames[0].label.numpy(), expected)
    assert frames.record()["negatives"] == {"cow": 1}


def test_a_crowd_in_a_room_is_no_scene_and_a_broken_crowd_breaks_nothing(tmp_path):
    cow = (COW, (0, 0, 20, 20))
    pictures = {
        "field": (4, [cow, (-COW, (30, 0, 50, 10))]),
        "room": (4, [cow, (-CUP, (30, 0, 40, 9))]),
    }
    root = write(tmp_path, pictures)
    path = root / "annotations/instances_some.json"
    content = json.loads(path.read_text())
    for note in content["annotations"]:
        if note["iscrowd"]:
            note["segmentation"] = {"size": SIZE, "counts": [3]}
    path.write_text(json.dumps(content))
    frames = scenes(root)
    assert frames.frame_ids() == ["field"]
    assert (frames[0].label[:20, :20] == NEGATIVE).all()


def test_licences_choose_pictures_and_cut_outs(tmp_path):
    cow = [(COW, (0, 0, 20, 20))]
    root = write(tmp_path, {"by": (4, cow), "nd": (3, cow), "unknown": (None, cow)})
    frames = scenes(root, licences=[4, 5])
    assert frames.frame_ids() == ["by"]
    assert frames.record()["licences"] == {4: 1}
    assert len(scenes(root)) == 3
    source = NEGATIVES.build("paste", {"root": str(root), "licences": [4, 5]})
    assert {entry.image.stem for entry in source.entries} == {"by"}
    assert source.record()["licences"] == {4: 1}
    with pytest.raises(DataError, match="`licences` removed 3"):
        NEGATIVES.build("paste", {"root": str(root), "licences": [7]})


def test_the_parts_share_no_picture_and_are_all_of_them(tmp_path):
    cow = [(COW, (0, 0, 20, 20))]
    root = write(tmp_path, {f"{number:02}": (4, cow) for number in range(12)})
    train, held = (scenes(root, part=part, held_out=0.4) for part in ("train", "held_out"))
    assert not set(train.frame_ids()) & set(held.frame_ids())
    assert sorted(train.frame_ids() + held.frame_ids()) == scenes(root).frame_ids()


def test_two_pictures_of_one_name_do_not_share_a_class_map(tmp_path):
    cow = [(COW, (0, 0, 20, 20))]
    root = write(tmp_path / "set", {"train/0001": (4, cow), "val/0001": (4, cow)})
    write_image(tmp_path / "maps/0001.png", np.full(SIZE, 9, np.uint8))
    assert len(scenes(root)) == 2
    said = r"two pictures have the name 0001: .*train/0001\.png and .*val/0001\.png"
    with pytest.raises(DataError, match=said):
        scenes(root, labels=str(tmp_path / "maps"))


def test_mistakes_are_explained(meadow, tmp_path):
    with pytest.raises(OptionError, match="`part` is 'trian'; did you mean `train`"):
        scenes(meadow, part="trian")
    with pytest.raises(OptionError, match="`rim` of coco_scenes is -1"):
        scenes(meadow, rim=-1)
    with pytest.raises(DataError, match="no outdoor picture is left"):
        scenes(meadow, licences=[6])
    with pytest.raises(DataError, match=r"1 of 1 pictures have no class map .*meadow"):
        scenes(meadow, labels=str(tmp_path / "maps"))
    write_image(tmp_path / "maps/meadow.png", np.full(SIZE, 40, np.uint8))
    with pytest.raises(DataError, match=r"holds the ids \[40\]"):
        scenes(meadow, labels=str(tmp_path / "maps"))[0]


def test_labels_beside_each_picture_are_among_a_scenes_files(tmp_path):
    """Of the formats that keep a label file a picture; those of COCO share theirs."""
    picture = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    write_image(tmp_path / "yolo/images/a.png", picture)
    (tmp_path / "yolo/labels").mkdir()
    (tmp_path / "yolo/labels/a.txt").write_text("0 0.1 0.1 0.6 0.1 0.6 0.6 0.1 0.6\n")
    (tmp_path / "yolo/names.txt").write_text("cow\n")
    write_image(tmp_path / "ids/images/a.png", picture)
    write_image(tmp_path / "ids/annotations/a.png", np.ones(SIZE, np.uint8))
    (tmp_path / "ids/names.txt").write_text("cow\n")
    for root, label in (("yolo", "labels/a.txt"), ("ids", "annotations/a.png")):
        frames = scenes(tmp_path / root)
        found = frames.files_of("a")
        assert found == [tmp_path / root / "images/a.png", tmp_path / root / label]
