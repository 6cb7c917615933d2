"""YOLO sets as people have them: Ultralytics' layouts, names from `data.yaml`, broken rows."""

from __future__ import annotations

import logging
import re

import pytest

from roadanomaly.data.cutouts import open_cutouts
from roadanomaly.errors import DataError
from tests.photographs import photograph, save

SQUARE = "0.125 0.625 0.28125 0.625 0.28125 0.833333 0.125 0.833333"
"""5×5 pixels of a photograph of 32×24."""


def write(root, images="train/images", labels="train/labels", name="a b.JPG", rows=None, about=""):
    save(root / images / "x.jpg", photograph(), 1).rename(root / images / name)
    (root / labels).mkdir(parents=True, exist_ok=True)
    text = f"0 {SQUARE}\r\n\r\n" if rows is None else rows
    (root / labels / name).with_suffix(".txt").write_text(text, newline="")
    if about:
        (root / "data.yaml").write_text(about)
    return root


def categories(reader):
    return [entry.category for entry in reader.entries]


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        ("train/images", "train/labels"),
        ("images/train", "labels/train"),
        ("images", "labels"),
        ("valid/images", "valid/labels"),
    ],
)
def test_layouts(tmp_path, images, labels):
    reader = open_cutouts(write(tmp_path, images, labels, about="names: [tyre]"))
    assert reader.format == "yolo"
    assert categories(reader) == ["tyre"]
    assert (reader.read(reader.entries[0]).alpha == 255).sum() == 25
    assert not reader.skipped


def test_all_splits_are_read_each_once(tmp_path):
    write(tmp_path, name="a.jpg")
    write(tmp_path, "valid/images", "valid/labels", name="a.jpg")
    about = "path: .\ntrain: train/images\nval: ../valid/images\nnames: [tyre]\n"
    reader = open_cutouts(write(tmp_path, name="b.jpg", about=about))
    assert [e.image.relative_to(tmp_path).as_posix() for e in reader.entries] == [
        "train/images/a.jpg",
        "train/images/b.jpg",
        "valid/images/a.jpg",
    ]


@pytest.mark.parametrize("listed", [False, True])
def test_images_that_lie_elsewhere(tmp_path, listed):
    write(tmp_path / "elsewhere", "images/train", "labels/train")
    (tmp_path / "set").mkdir()
    train = "[images/train]" if listed else "images/train"
    about = f"path: {tmp_path / 'elsewhere'}\ntrain: {train}\nnames: [tyre]\n"
    (tmp_path / "set" / "data.yaml").write_text(about)
    assert categories(open_cutouts(tmp_path / "set")) == ["tyre"]


@pytest.mark.parametrize(
    ("about", "name"),
    [
        ("names: [tyre, log]", "log"),
        ("names:\n  0: tyre\n  1: log\n", "log"),
        ("names: {1: log}", "log"),
        ("nc: 2\nnames: ['tyre', 'log']\n", "log"),
        ("names: [tyre, 7]", "7"),
    ],
)
def test_names_come_from_the_description(tmp_path, about, name):
    reader = open_cutouts(write(tmp_path, rows=f"1 {SQUARE}\n", about=about))
    assert categories(reader) == [name]


def test_a_description_of_any_name_counts_and_names_txt_goes_first(tmp_path):
    write(tmp_path)
    (tmp_path / "coco8-seg.yaml").write_text("names: [tyre]")
    assert categories(open_cutouts(tmp_path)) == ["tyre"]
    (tmp_path / "names.txt").write_text("cone\n")
    assert categories(open_cutouts(tmp_path)) == ["cone"]


@pytest.mark.parametrize(("train", "name"), [("train/images", "tyre"), ("other/images", "person")])
def test_a_part_takes_the_names_above_it_only_where_they_are_meant(tmp_path, train, name):
    write(tmp_path, about=f"train: {train}\nnames: [tyre]\n")
    assert categories(open_cutouts(tmp_path / "train")) == [name]


@pytest.mark.parametrize(
    "about", ["names: 3", "names: [a\n", "nc: 4", "names: {a: b}", "a: &a [*a]"]
)
def test_a_description_without_names_is_an_error(tmp_path, about):
    with pytest.raises(DataError, match=r"data\.yaml does not name the classes"):
        open_cutouts(write(tmp_path, about=about))


def test_coordinates_in_pixels_are_left_out_and_named(tmp_path, caplog):
    rows = f"0 {SQUARE}\n0 4 15 9 15 9 20 4 20\n"
    with caplog.at_level(logging.WARNING):
        reader = open_cutouts(write(tmp_path, rows=rows, about="names: [tyre]"))
    assert len(reader.entries) == 1
    assert "1 x row whose coordinates are not in 0..1 (a b.txt: row 2)" in caplog.text


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("0.5 0.5 0.5 0.5 0.5 0.5", "without area"),
        ("0.1 0.1 0.3 0.3 0.2 0.2", "without area"),
        ("1 0.1 1.005 0.1 1.005 0.2", "outside its image"),
    ],
)
def test_a_polygon_of_which_nothing_is_seen_is_left_out_and_named(tmp_path, row, reason):
    reader = open_cutouts(write(tmp_path, rows=f"0 {SQUARE}\n0 {row}\n", about="names: [tyre]"))
    assert len(reader.entries) == 1
    assert reader.left_out() == f"1 x row whose polygon is {reason} (a b.txt: row 2)"


@pytest.mark.parametrize("row", [f"nan {SQUARE}", f"0.5 {SQUARE}", "0 0.1 inf 0.2 0.2 0.3 0.3"])
def test_numbers_that_are_none(tmp_path, row):
    with pytest.raises(DataError, match=r"a b\.txt:1.*whole class number"):
        open_cutouts(write(tmp_path, rows=row))


def test_labels_that_are_no_text(tmp_path):
    root = write(tmp_path)
    (root / "train/labels/a b.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"a b\.txt cannot be read as text"):
        open_cutouts(root)


def test_a_photograph_on_its_side_is_labelled_upright(tmp_path):
    write(tmp_path, name="a.png", rows="0 0 0 0.5 0 0.5 0.25 0 0.25\n", about="names: [tyre]")
    save(tmp_path / "train/images/a.png", photograph(), 6)
    reader = open_cutouts(tmp_path)
    assert reader.read(reader.entries[0]).alpha.shape == (8, 12)


def test_a_description_of_aliases_of_aliases_is_refused_in_a_sentence_and_at_once(tmp_path):
    """9 to the 40 names of a few lines: whoever wrote them out would never end."""
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    rows += [
        f"a{number}: &a{number} [{', '.join([f'*a{number - 1}'] * 9)}]" for number in range(1, 40)
    ]
    about = "\n".join([*rows, "names: {0: *a39}"])
    last = 9**39 * (2 * 9 + 1 + 1 / 8)  # `a39`, as each list is nine of those before and itself
    made = last * (1 + 1 / 9 + 1 / 72) + last  # all of them, and the last one again
    said = re.escape(f"its aliases (`*name`) make {made:.3g} characters")
    with pytest.raises(DataError, match=said):
        open_cutouts(write(tmp_path, about=about))


def test_a_description_may_say_a_thing_once_and_name_it_again(tmp_path):
    about = "tyre: &tyre tyre\nnames: [*tyre, *tyre]"
    assert open_cutouts(write(tmp_path, about=about)).names == ("tyre", "tyre")
