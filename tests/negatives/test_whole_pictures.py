"""Whole pictures in place of crops: which ones, how many, and which part of them."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from roadanomaly.data.parts import place_of
from roadanomaly.errors import DataError, OptionError
from roadanomaly.negatives.whole_pictures import WholePictures, covering
from roadanomaly.training.parts import build_parts
from roadanomaly.training.shown import of_source
from roadanomaly.types import IGNORE, NEGATIVE
from tests.negatives import tiny
from tests.training import runs

SHOWN = {0: ["dog"], 1: ["kite"], 2: ["dog", "car"], 3: ["dog"], 4: ["kite"], 5: ["dog"]}
SIZES = {3: (90, 60), 4: (200, 310)}
CATEGORIES = {"car": 3, "dog": 18, "kite": 38}


def picture(number):
    height, width = SIZES.get(number, (120, 160))
    return np.random.default_rng(number).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture
def root(tmp_path):
    """Six pictures: one shows a car, one a crowd of cars, one is small; licences 4 and 5."""
    notes = [(number, name, 0) for number, names in SHOWN.items() for name in names]
    notes.append((5, "car", 1))
    content = {
        "images": [
            {
                "id": number,
                "file_name": f"{number}.png",
                "width": picture(number).shape[1],
                "height": picture(number).shape[0],
                "license": 4 + number % 2,
            }
            for number in SHOWN
        ],
        "categories": [{"id": one, "name": name} for name, one in CATEGORIES.items()],
        "annotations": [
            {
                "image_id": number,
                "category_id": CATEGORIES[name],
                "bbox": [2, 2, 20, 20],
                "segmentation": [[2, 2, 22, 2, 22, 22, 2, 22]],
                "iscrowd": crowd,
            }
            for number, name, crowd in notes
        ],
    }
    for number in SHOWN:
        tiny.write(tmp_path / f"images/{number}.png", picture(number)[..., ::-1])
    path = tmp_path / "annotations/instances_some.json"
    path.parent.mkdir()
    path.write_text(json.dumps(content))
    return str(tmp_path)


def names(source):
    return [path.stem for path in source.paths]


def test_pictures_of_roads_of_crowds_on_them_and_small_ones_are_left_out(root):
    source = WholePictures(root, min_side=100)
    assert names(source) == ["0", "1", "4"]
    assert source.record()["pictures"] == 3
    assert of_source(source.record()) == f"whole_pictures, 3 pictures of {Path(root).name}"
    assert source.record()["shown"] == {"dog": 1, "kite": 2}
    assert source.record()["licences"] == {4: 2, 5: 1}
    assert names(WholePictures(root, min_side=60, licences=[5])) == ["1", "3"]
    assert names(WholePictures(root, min_side=60, exclude=["kite"])) == ["0", "2", "3", "5"]


def test_parts_share_no_picture(root):
    share = sorted(map(place_of, "0134"))[2]
    train, held = (
        names(WholePictures(root, min_side=60, part=part, held_out=share))
        for part in ("train", "held_out")
    )
    assert (len(train), len(held)) == (2, 2)
    assert sorted(train + held) == ["0", "1", "3", "4"]


def test_where_none_is_left_it_says_which_condition_took_them(root):
    with pytest.raises(DataError, match="`exclude` removed 2, `min_side=999` removed 4"):
        WholePictures(root, min_side=999)
    with pytest.raises(OptionError, match=r"`exclude` names the class 'kit'.*did you mean `kite`"):
        WholePictures(root, exclude=["kit"])
    with pytest.raises(OptionError, match="share"):
        WholePictures(root, share=1.5)


def test_a_picture_that_cannot_be_decoded_is_left_out_alone(root):
    whole = WholePictures(root, min_side=100).paths
    broken = whole[0]
    broken.write_bytes(b"\xff\xd8\xff" + b"junk" * 50 + b"\xff\xd9")
    source = WholePictures(root, min_side=100)
    assert source.paths == whole[1:]
    assert source.reader.skipped["damaged image"] == 1


def test_a_filled_crop_is_a_window_of_a_picture(root):
    source = WholePictures(root, share=1.0, min_side=100)
    batch = tiny.batch(8, 64, 96)
    mixed = source.mix(batch, np.random.default_rng(0))
    assert bool((mixed.label == NEGATIVE).all())
    for crop in mixed.image:
        pixels = crop.permute(1, 2, 0).numpy()
        both = (np.ascontiguousarray(pixels[:, ::-1]), np.ascontiguousarray(pixels))
        found = [
            cv2.matchTemplate(picture(number), one, cv2.TM_SQDIFF_NORMED).min()
            for number in (0, 1, 4)
            for one in both
        ]
        assert min(found) < 1e-4


def test_its_share_is_that_of_the_crops(root):
    source = WholePictures(root, share=0.25, min_side=100)
    batch = tiny.batch(100, 16, 16)
    rng = np.random.default_rng(0)
    filled = [(source.mix(batch, rng).label == NEGATIVE).flatten(1).all(1) for _ in range(10)]
    assert 0.2 < torch.cat(filled).float().mean() < 0.3


def test_a_picture_smaller_than_the_crop_is_enlarged_to_cover_it():
    grown = covering(np.zeros((50, 200, 3), np.uint8), 100, 120)
    assert grown.shape == (100, 400, 3)
    kept = np.zeros((50, 200, 3), np.uint8)
    assert covering(kept, 50, 60) is kept


def test_surroundings_of_the_objects_may_be_ignored(root):
    source = WholePictures(root, share=1.0, surroundings="ignore", min_side=100, licences=[5])
    mixed = source.mix(tiny.batch(8, 120, 160), np.random.default_rng(0))
    expected = np.full((120, 160), IGNORE)
    expected[2:22, 2:22] = NEGATIVE
    mirrored = 0
    for crop, label in zip(mixed.image, mixed.label, strict=True):
        turned = not np.array_equal(crop.permute(1, 2, 0).numpy(), picture(1))
        mirrored += turned
        assert np.array_equal(label.numpy(), expected[:, ::-1] if turned else expected)
    assert 0 < mirrored < 8
    assert source.record()["surroundings"] == "ignore"
    with pytest.raises(OptionError, match=r"`surroundings`.*'ignored'.*ignore"):
        WholePictures(root, surroundings="ignored", min_side=100)


@pytest.mark.parametrize("mixed", [False, True])
def test_no_teacher_is_asked_what_was_there_before(root, tmp_path, mixed):
    """It sees the street; the pixels round the objects show a meadow, and are not labelled."""
    pictures = {"name": "whole_pictures", "root": str(root), "surroundings": "ignore"}
    pictures |= {"min_side": 100}
    mixture = {"name": "mixture", "sources": [runs.SHAPES, pictures]}
    given = {"negatives": mixture if mixed else pictures}
    given |= {"teacher": {"name": "espnetv2", "scale": 0.5}, "distill": 0.5}
    with pytest.raises(OptionError, match="teach the surroundings of whole pictures"):
        build_parts(runs.config(tmp_path / "run", **given))
