"""COCO files as people have them: every form of a mask, every layout, and what is left out."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest
from PIL import Image

from roadanomaly.data.cutouts import open_cutouts
from roadanomaly.data.cutouts.coco_mask import LeftOut, fill, shape_of
from roadanomaly.errors import DataError
from tests.negatives import tiny
from tests.photographs import SIDEWAYS, photograph, save

SQUARE = [[4, 15, 9, 15, 9, 20, 4, 20]]
"""5×5 pixels of a photograph of 32×24."""


def compressed(counts):
    """Pack run lengths as the COCO tools do, digit by digit."""
    text = ""
    for index, count in enumerate(counts):
        rest = count - counts[index - 2] if index > 2 else count
        more = True
        while more:
            five, rest = rest & 0x1F, rest >> 5
            more = rest != (-1 if five & 0x10 else 0)
            text += chr((five | 0x20 if more else five) + 48)
    return text


def annotation(**changes):
    note = {"id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "bbox": [4, 15, 5, 5]}
    note |= {"segmentation": SQUARE} | changes
    return {key: value for key, value in note.items() if value is not None}


def write(root, *notes, file="annotations/instances_train.json", image="images/a.png", **record):
    """Write one photograph and a COCO file of it; `record` overwrites, None removes."""
    save(root / image, photograph(), 1)
    record = {"id": 1, "file_name": "a.png", "width": 32, "height": 24} | record
    content = {
        "images": [{key: value for key, value in record.items() if value is not None}],
        "categories": [{"id": 1, "name": "dog"}],
        "annotations": list(notes) or [annotation()],
    }
    (root / file).parent.mkdir(parents=True, exist_ok=True)
    (root / file).write_text(json.dumps(content))
    return root


def extend(root, **more):
    """Append records to the lists of a file that `write` wrote."""
    path = root / "annotations/instances_train.json"
    content = json.loads(path.read_text())
    for part, records in more.items():
        content[part] += records
    path.write_text(json.dumps(content))
    return root


def areas(reader):
    return [int((reader.read(entry).alpha == 255).sum()) for entry in reader.entries]


def random_mask(seed, shape=(24, 32)):
    rng = np.random.default_rng(seed)
    blocks = rng.random((shape[0] // 4, shape[1] // 4)) < rng.uniform(0.05, 0.9)
    return np.kron(blocks, np.ones((4, 4))).astype(np.uint8)


@pytest.mark.parametrize("seed", range(12))
def test_run_lengths_of_both_kinds_are_the_mask_that_was_packed(seed):
    mask = random_mask(seed)
    counts = tiny.runs(mask)
    for given in (counts, compressed(counts)):
        shape = shape_of({"size": [24, 32], "counts": given}, 24, 32)
        np.testing.assert_array_equal(fill(shape, (24, 32), (24, 32)), mask * 255)


def test_polygons_runs_and_packed_runs_of_one_object_are_alike(tmp_path):
    mask = np.zeros((24, 32), np.uint8)
    mask[15:20, 4:9] = 1
    counts = tiny.runs(mask)
    forms = (SQUARE, *({"size": [24, 32], "counts": c} for c in (counts, compressed(counts))))
    reader = open_cutouts(write(tmp_path, *(annotation(segmentation=form) for form in forms)))
    assert areas(reader) == [25, 25, 25]
    assert not reader.skipped


BROKEN_RUNS = {
    "too few": [100, 20],
    "too many": [700, 69],
    "negative": [-5, 773],
    "fractions": [1.5, 766.5],
    "words": ["a", "b"],
    "packed too few": compressed([100, 20]),
    "packed too many": compressed([700, 90]),
    "packed without an end": compressed([600, 100, 68])[:-1] + "o",
    "no letters": "\u00e9\u00e9",
    "empty": "",
    "long digits": "o" * 12 + "0",
    "nothing": None,
}


@pytest.mark.parametrize("counts", BROKEN_RUNS.values(), ids=BROKEN_RUNS)
def test_broken_run_lengths_are_left_out_not_trusted(counts):
    with pytest.raises(LeftOut, match="do not fill their image"):
        shape_of({"size": [24, 32], "counts": counts}, 24, 32)


BAD = {
    "polygon that is no list of x, y, x, y ...": [
        annotation(segmentation=[SQUARE[0][:-1]]),
        annotation(segmentation=[[4, 15, float("nan"), 15, 9, 20]]),
    ],
    "polygon of fewer than three points": [annotation(segmentation=[[4, 15, 9, 20]])],
    "polygon that lies far outside its image": [annotation(segmentation=[[0, 0, 1e12, 0, 9, 9]])],
    "annotation without a mask": [annotation(segmentation=None), annotation(segmentation=[])],
    "annotation without a `bbox` of four numbers": [
        annotation(bbox=None),
        annotation(bbox=[1, 2, 3]),
        annotation(bbox=[0, 0, -3, 4]),
    ],
    "annotation of an unknown `category_id`": [annotation(category_id=9)],
    "annotation of an unknown `image_id`": [annotation(image_id=7), annotation(image_id=None)],
    "annotation of a crowd": [annotation(iscrowd=flag) for flag in (1, True, "1")],
    "annotation whose `iscrowd` is neither 0 nor 1": [
        annotation(iscrowd=flag) for flag in (2, "no", "", [])
    ],
    "polygon outside its image": [
        annotation(segmentation=[[-9, 1, -4, 1, -4, 6]]),
        annotation(segmentation=[[32, 1, 40, 1, 40, 6], [1, 24, 9, 24, 9, 30]]),
    ],
    "polygon without area": [
        annotation(segmentation=[[4, 15, 9, 15, 6, 15]]),
        annotation(segmentation=[[4, 15, 9, 20, 6, 17, 5, 16]]),
        annotation(segmentation=[[4, 15, 4, 15, 4, 15]]),
    ],
    "run lengths of an empty mask": [
        annotation(segmentation={"size": [24, 32], "counts": counts})
        for counts in ([768], compressed([768]))
    ],
    "annotation that is malformed": [
        "words",
        annotation(image_id=[1]),
        annotation(bbox=["a", 1, 2, 3]),
        annotation(segmentation=[[1, 2, [3]]]),
    ],
    "run lengths without their size": [annotation(segmentation={"counts": [768]})],
    "run lengths of another shape than their image": [
        annotation(segmentation={"size": [32, 24], "counts": [768]})
    ],
}


@pytest.mark.parametrize(
    ("reason", "bad"), [(reason, bad) for reason, notes in BAD.items() for bad in notes]
)
def test_what_is_broken_is_left_out_and_named_and_the_good_is_read(tmp_path, reason, bad, caplog):
    root = write(tmp_path, bad, annotation(id=2))
    with caplog.at_level(logging.WARNING):
        reader = open_cutouts(root)
    assert areas(reader) == [25]
    assert reader.skipped == {reason: 1}
    assert f"1 x {reason} (instances_train.json: annotation 1)" in caplog.text


def test_a_set_of_nothing_but_broken_annotations_says_what_is_wrong(tmp_path):
    with pytest.raises(DataError, match="1 x annotation of an unknown `image_id`"):
        open_cutouts(write(tmp_path, annotation(image_id=5)))


@pytest.mark.parametrize("deeper", [False, True])
def test_roboflow(tmp_path, deeper):
    write(tmp_path / "train", file="_annotations.coco.json", image="a.png")
    write(tmp_path / "valid", file="_annotations.coco.json", image="a.png")
    reader = open_cutouts(tmp_path if not deeper else tmp_path / "train")
    assert reader.format == "coco"
    expected = ["train"] if deeper else ["train", "valid"]
    assert [entry.image.parent.name for entry in reader.entries] == expected


LAYOUTS = {
    "CVAT": {"file": "annotations/instances_default.json", "image": "images/default/a.png"},
    "CVAT, older": {"file": "annotations/instances_default.json", "image": "images/a.png"},
    "any name": {"file": "annotations/train.json", "image": "train/a.png"},
    "beside": {"file": "labels.json", "image": "images/a.png"},
    "result of a labelling tool": {
        "file": "result.json",
        "image": "images/a.png",
        "file_name": "..\\..\\upload\\a.png",
    },
    "a folder a part": {"file": "val/labels.json", "image": "val/images/a.png"},
    "LVIS": {
        "file": "lvis_v1_train.json",
        "image": "train2017/000000000001.jpg",
        "file_name": None,
        "coco_url": "http://images.cocodataset.org/train2017/000000000001.jpg",
    },
    "LVIS in one folder": {
        "file": "annotations/lvis.json",
        "image": "images/000000000001.jpg",
        "file_name": None,
        "coco_url": "http://images.cocodataset.org/train2017/000000000001.jpg",
    },
    "only a number": {
        "file": "a.json",
        "image": "images/000000000001.jpg",
        "file_name": None,
    },
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_layouts(tmp_path, layout):
    reader = open_cutouts(write(tmp_path, **layout))
    assert reader.format == "coco"
    assert areas(reader)[0] in range(20, 31)


def test_other_json_files_are_passed_over_and_named(tmp_path):
    write(tmp_path, file="annotations/train.json")
    (tmp_path / "annotations" / "licence.json").write_text("{}")
    assert open_cutouts(tmp_path).skipped == {"JSON file that is not COCO": 1}


def test_the_official_names_go_first(tmp_path):
    write(tmp_path)
    write(tmp_path, file="annotations/person_keypoints_train.json")
    assert len(open_cutouts(tmp_path).entries) == 1


def test_an_image_without_its_size_has_that_of_its_file(tmp_path):
    reader = open_cutouts(write(tmp_path, width=None, height=0))
    assert reader.entries[0].share == pytest.approx(25 / (24 * 32))


@pytest.mark.parametrize("content", ["[" * 200_000, "\xff", "{}", '{"images": 3}', ""])
def test_a_file_that_is_no_coco(tmp_path, content):
    write(tmp_path)
    (tmp_path / "annotations/instances_train.json").write_text(content, encoding="latin-1")
    with pytest.raises(DataError, match=r"instances_train\.json is no COCO instance file"):
        open_cutouts(tmp_path)


@pytest.mark.parametrize("upright", [True, False])
@pytest.mark.parametrize("orientation", SIDEWAYS)
def test_width_and_height_decide_which_way_up_an_image_is_read(tmp_path, orientation, upright):
    size = {"width": 24, "height": 32} if upright else {"width": 32, "height": 24}
    write(tmp_path, annotation(segmentation=[[0, 0, 6, 0, 6, 10, 0, 10]]), **size)
    path = save(tmp_path / "images" / "a.png", photograph(), orientation)
    reader = open_cutouts(tmp_path)
    stored = np.asarray(Image.open(path).convert("RGB"))
    tags = Image.open(path).getexif()
    assert tags[0x0112] == orientation
    turns = {5: 5, 6: 4, 7: 6, 8: 2}[orientation]
    right = np.asarray(Image.fromarray(stored).transpose(Image.Transpose(turns)))
    expected = (right if upright else stored)[:10, :6]
    np.testing.assert_array_equal(reader.read(reader.entries[0]).colour, expected)


@pytest.mark.parametrize(
    "parts", [[[-9, 1, -4, 1, -4, 6], *SQUARE], [[4, 15, 9, 15, 6, 15], *SQUARE]]
)
def test_a_part_of_which_nothing_is_seen_does_no_harm(tmp_path, parts):
    assert areas(open_cutouts(write(tmp_path, annotation(segmentation=parts)))) == [25]


def test_a_polygon_that_crosses_itself_has_area(tmp_path):
    crossing = [[4, 12, 16, 20, 16, 12, 4, 20]]
    reader = open_cutouts(write(tmp_path, annotation(segmentation=crossing)))
    assert areas(reader)[0] > 30


@pytest.mark.parametrize("flag", [0, "0", False, None])
def test_what_is_no_crowd_is_an_object_also_where_the_flag_is_text(tmp_path, flag):
    reader = open_cutouts(write(tmp_path, annotation() | {"iscrowd": flag}))
    assert areas(reader) == [25]
    assert not reader.crowds


def test_a_class_that_is_perhaps_shown_counts_as_shown(tmp_path):
    root = write(tmp_path, annotation(), annotation(iscrowd="no"), annotation(category_id=2))
    extend(root, categories=[{"id": 2, "name": "cat"}, {"id": 2, "name": "person"}])
    reader = open_cutouts(root)
    assert reader.names == ("dog", "cat", "person")
    assert [entry.category for entry in reader.entries] == ["dog"]
    assert reader.crowds == {root / "images/a.png": {"dog", "cat", "person"}}


@pytest.mark.parametrize("sides", [(24, 32), (64, 64), (32, 27), (32.0, 16.0)])
def test_an_image_of_other_proportions_than_its_annotations_is_left_out(tmp_path, sides):
    width, height = sides
    root = write(tmp_path, annotation(), annotation(image_id=2), width=width, height=height)
    save(root / "images/b.png", photograph(), 1)
    extend(root, images=[{"id": 2, "file_name": "b.png", "width": 32, "height": 24}])
    reader = open_cutouts(root)
    assert [entry.image.name for entry in reader.entries] == ["b.png"]
    assert reader.images == 1
    expected = f"(a.png: 32x24, annotated as {int(width)}x{int(height)})"
    assert reader.left_out() == f"1 x image of other proportions than its annotations {expected}"


@pytest.mark.parametrize("sides", [(64, 48), (65, 48), (63, 48), (16, 12)])
def test_masks_are_scaled_to_an_image_of_the_same_proportions(tmp_path, sides):
    width, height = sides
    square = (np.array(SQUARE) * width / 32).tolist()
    reader = open_cutouts(
        write(tmp_path, annotation(segmentation=square), width=width, height=height)
    )
    assert 20 <= areas(reader)[0] <= 30
    assert not reader.skipped


@pytest.mark.parametrize(
    ("part", "key", "other"),
    [
        ("images", "image_id", {"id": 1, "file_name": "b.png", "width": 32, "height": 24}),
        ("images", "image_id", {"id": 1, "file_name": "a.png", "width": 64, "height": 48}),
        ("categories", "category_id", {"id": 1, "name": "person"}),
    ],
)
def test_objects_of_an_id_that_several_records_share_are_left_out(tmp_path, part, key, other):
    good = annotation(id=2, image_id=2, category_id=2)
    root = write(tmp_path, annotation(), good)
    for name in ("b.png", "c.png"):
        save(root / "images" / name, photograph(), 1)
    extend(root, categories=[{"id": 2, "name": "cat"}])
    extend(root, images=[{"id": 2, "file_name": "c.png", "width": 32, "height": 24}])
    reader = open_cutouts(extend(root, **{part: [other]}))
    assert [(entry.image.name, entry.category) for entry in reader.entries] == [("c.png", "cat")]
    assert reader.skipped == {f"annotation of a doubled `{key}`": 1}
    assert "person" in reader.names or part == "images"


def test_records_that_are_repeated_do_no_harm(tmp_path):
    image = {"id": 1, "file_name": "a.png", "width": 32, "height": 24, "date_captured": "today"}
    more = {"images": [image, image], "categories": [{"id": 1, "name": "dog", "color": "red"}]}
    reader = open_cutouts(extend(write(tmp_path), **more))
    assert areas(reader) == [25]
    assert reader.names == ("dog",)
    assert not reader.skipped


@pytest.mark.parametrize("size", [{}, {"width": 32, "height": 24}])
def test_an_image_that_cannot_be_decoded_is_left_out_alone(tmp_path, size):
    root = write(tmp_path, annotation(), annotation(image_id=2))
    (root / "images/b.jpg").write_bytes(b"\xff\xd8\xff" + b"junk" * 50 + b"\xff\xd9")
    reader = open_cutouts(extend(root, images=[{"id": 2, "file_name": "b.jpg", **size}]))
    assert areas(reader) == [25]
    assert reader.images == 1
    assert reader.left_out() == "1 x damaged image (b.jpg)"


def test_a_name_that_no_file_can_have_is_that_of_a_missing_image(tmp_path):
    root = write(tmp_path, annotation(), annotation(image_id=2))
    reader = open_cutouts(extend(root, images=[{"id": 2, "file_name": "x" * 300 + ".jpg"}]))
    assert areas(reader) == [25]
    assert reader.skipped == {"label without image": 1}
    assert len(reader.left_out()) < 120
