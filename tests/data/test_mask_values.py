"""What masks mean where nobody says it: from the values of the whole set, if they leave one way."""

from __future__ import annotations

import json
import logging
import shlex

import cv2
import numpy as np
import pytest
from PIL import Image

from roadanomaly.cli.main import main
from roadanomaly.data.folder import Folder
from roadanomaly.errors import DataError
from tests import layouts


def made(root, *masks):
    """Write a set of one photograph for each tuple of values."""
    for number, values in enumerate(masks):
        layouts.write_photo(root / "images" / f"{number}.png", number)
        layouts.write_ids(root / "labels" / f"{number}.png", values)
    return root


def stripes(root):
    return [frame.anomaly[0].unique_consecutive().tolist() for frame in Folder(root=root)]


@pytest.mark.parametrize(
    ("masks", "read"),
    [
        ([(0, 1, 255), (0, 1)], [[0, 1, 255], [0, 1]]),
        ([(0, 255), (0, 1)], [[0, 255], [0, 1]]),
        ([(0, 2), (0,)], [[0, 1], [0]]),
        ([(0, 2), (0, 255)], [[0, 1], [0, 255]]),
        ([(0, 255), (0,)], [[0, 1], [0]]),
        ([(0,)], [[0]]),
        ([(1, 255)], [[1, 255]]),
    ],
)
def test_values_that_leave_one_reading(tmp_path, masks, read):
    assert stripes(made(tmp_path, *masks)) == read


def test_black_and_white_is_noted_with_the_other_way(tmp_path, caplog):
    made(tmp_path, (0, 255))
    with caplog.at_level(logging.WARNING):
        frames = Folder(root=tmp_path)
        Folder(root=tmp_path)
    assert caplog.text.count("255 is taken for the anomaly") == 1
    assert '--data.values \'{"inlier": [0], "ignore": [255]}\'' in caplog.text
    assert frames.record()["values"] == {"inlier": [0], "anomaly": [255]}


def test_the_note_names_the_folder_of_all_masks(tmp_path, caplog):
    for town in ("aachen", "bochum"):
        made(tmp_path / town, (0, 255))
        for kind in ("images", "labels"):
            (tmp_path / kind).mkdir(exist_ok=True)
            (tmp_path / town / kind).rename(tmp_path / kind / town)
    with caplog.at_level(logging.WARNING):
        Folder(root=tmp_path, recursive=True)
    assert "the masks in labels/ hold only" in caplog.text


def test_the_usual_values_are_no_news(tmp_path, caplog):
    frames = Folder(root=made(tmp_path, (0, 1, 255)))
    assert not caplog.text
    assert "values" not in frames.record()


@pytest.mark.parametrize("masks", [[(0, 1, 2)], [(0, 1), (0, 7)], [(0, 128, 255)], [(255,)]])
def test_several_readings_are_refused_with_an_option_that_works(tmp_path, masks, capsys):
    made(tmp_path, *masks)
    words = ["data", "check", "folder", "--root", str(tmp_path)]
    assert main(words) == 2
    told = capsys.readouterr().err
    assert f"{masks[-1][-1]} (" in told
    option = shlex.split(told[told.index("--data.values") :])[:2]
    option[1] = json.dumps(json.JSONDecoder().raw_decode(option[1])[0])
    main([*words, *option])
    out = capsys.readouterr().out
    assert "truth: " in out
    assert "anomaly" in out


def test_a_value_of_one_mask_among_many_is_seen(tmp_path):
    made(tmp_path, *[(0, 1)] * 9, (0, 9))
    with pytest.raises(DataError, match=r"9 \(9\.png\)"):
        Folder(root=tmp_path)


def test_masks_that_jpeg_changed(tmp_path):
    layouts.write_photo(tmp_path / "images" / "a.png", 0)
    mask = np.zeros((24, 32), np.uint8)
    cv2.circle(mask, (14, 11), 7, 255, -1)
    (tmp_path / "labels").mkdir()
    cv2.imwrite(str(tmp_path / "labels" / "a.jpg"), mask, [cv2.IMWRITE_JPEG_QUALITY, 60])
    with pytest.raises(DataError, match="Save the masks as PNG"):
        Folder(root=tmp_path)


def indexed(root, colours, values=(0, 1)):
    made(root, (0,))
    image = Image.new("P", (32, 24), values[0])
    image.paste(values[1], (8, 8, 16, 16))
    image.putpalette([number for colour in colours for number in colour])
    image.save(root / "labels" / "0.png")
    return root


@pytest.mark.parametrize(
    ("colours", "values"),
    [
        ([(0, 0, 0), (255, 255, 255)], (0, 1)),
        ([(0, 0, 0), (128, 0, 0)], (0, 1)),
        ([(255, 255, 255), (128, 0, 0)], (0, 1)),
        ([(0, 0, 0), (9, 9, 9), (200, 0, 0)], (0, 2)),
    ],
)
def test_indexed_masks_are_read_by_index(tmp_path, colours, values):
    mask = Folder(root=indexed(tmp_path, colours, values))[0].anomaly
    assert mask.sum() == 64
    assert mask[8:16, 8:16].all()


def test_an_indexed_mask_in_negative_can_be_read_in_two_ways(tmp_path):
    indexed(tmp_path, [(255, 255, 255), (0, 0, 0)])
    with pytest.raises(DataError, match=r"shown brighter than 1.*anomaly.: \[0\].*anomaly.: \[1\]"):
        Folder(root=tmp_path)
    values = {"inlier": [1], "anomaly": [0]}
    assert Folder(root=tmp_path, values=values)[0].anomaly.sum() == 24 * 32 - 64


def test_a_broken_mask_is_found_when_it_is_asked_for(tmp_path, capsys):
    made(tmp_path, (0, 1), (0, 1))
    path = tmp_path / "labels" / "1.png"
    path.write_bytes(path.read_bytes()[:-20])
    assert main(["data", "check", "folder", "--root", str(tmp_path)]) == 2
    assert "frames: 2 read of 2, 1 with problems" in capsys.readouterr().out


@pytest.mark.parametrize("part", ["train", "held_out"])
def test_a_part_is_read_as_the_whole_set_is(tmp_path, part):
    """Whichever part holds the one mask with a 1, an ignored border stays one in the other."""
    made(tmp_path, *[(0, 255)] * 20)
    rest = {"train": "held_out", "held_out": "train"}[part]
    other = Folder(root=tmp_path, part=rest)
    layouts.write_ids(tmp_path / "labels" / f"{other.ids[0]}.png", (0, 1, 255))
    (tmp_path / "labels" / f"{other.ids[1]}.png").unlink()
    frames = Folder(root=tmp_path, part=part)
    assert {tuple(frame.anomaly.unique().tolist()) for frame in frames} == {(0, 255)}
    told = f"1 of {len(other)} images have no label .*: {other.ids[1]}"
    with pytest.raises(DataError, match=told):
        Folder(root=tmp_path, part=rest)
