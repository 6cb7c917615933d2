import copy

import cv2
import numpy as np
import pytest
import torch

from roadanomaly.errors import DataError, OptionError
from roadanomaly.negatives.outlines import KINDS, random_mask
from roadanomaly.negatives.shapes import Shapes, cut_texture, shade
from tests.negatives import tiny


@pytest.fixture
def folder(tmp_path):
    for index in range(20):
        tiny.write(tmp_path / f"textures/{index}.png", tiny.photo(index))
    return tmp_path / "textures"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("side", [24, 131])
def test_outlines_fill_their_box(kind, side):
    for seed in range(5):
        mask = random_mask(kind, side, np.random.default_rng(seed))
        assert max(mask.shape) == side
        assert 0 <= mask.min() <= mask.max() == 1
        core = mask >= 0.5
        assert cv2.connectedComponents(core.astype(np.uint8))[0] == 2
        assert core.sum() > 0.05 * side * side * 0.35


def test_an_ellipse_has_the_area_of_an_ellipse():
    areas = []
    for seed in range(20):
        mask = random_mask("ellipse", 200, np.random.default_rng(seed))
        (_, axes, _) = cv2.fitEllipse(
            np.argwhere(cv2.Canny((mask * 255).astype(np.uint8), 50, 100))
        )
        areas.append(mask.sum() / (np.pi / 4 * axes[0] * axes[1]))
    assert np.mean(areas) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("made_up", [True, False])
def test_shapes_are_reproducible_and_leave_the_input(folder, made_up):
    textures = None if made_up else str(folder)
    batch = tiny.batch()
    before = copy.deepcopy(batch)
    first, second = (
        Shapes(textures, look={"side": (24, 80)}).mix(batch, np.random.default_rng(1))
        for _ in range(2)
    )
    assert torch.equal(first.image, second.image)
    assert torch.equal(first.label, second.label)
    assert torch.equal(first.original, before.image)
    assert torch.equal(batch.image, before.image)
    assert torch.equal(batch.label, before.label)
    assert first.negative.flatten(1).sum(1).min() >= 16
    assert (first.image != batch.image).any(1)[first.negative].float().mean() > 0.98


def test_texture_is_a_window_of_the_image():
    image = np.full((50, 60, 3), (10, 200, 30), np.uint8)
    for shape in ((7, 9), (50, 60), (200, 20)):
        cut = cut_texture(image, *shape, np.random.default_rng(0))
        assert cut.shape == (*shape, 3)
        assert (cut == (10, 200, 30)).all()


def test_light_stays_in_its_range_and_falls_from_one_side():
    alpha = np.ones((41, 41), np.float32)
    assert (shade(alpha, 0.0, 1.0) == 1).all()
    light = shade(alpha, 0.6, 0.0)
    assert light.min() >= 0.4 - 1e-6
    assert light.max() <= 1.3 + 1e-6
    assert light[20, 35] > light[20, 5]
    assert light[20, 20] > light[0, 20]


def test_parts_share_no_texture(folder):
    parts = {p: set(Shapes(str(folder), part=p).files) for p in ("all", "train", "held_out")}
    assert parts["train"] | parts["held_out"] == parts["all"]
    assert not parts["train"] & parts["held_out"]
    assert len(parts["all"]) == 20
    assert parts["held_out"]


def test_record(folder):
    assert Shapes(str(folder), kinds=["star"]).record() == {
        "name": "shapes",
        "root": "textures",
        "format": "images",
        "part": "all",
        "images": 20,
        "kinds": ["star"],
        "skipped": {},
    }
    assert Shapes().record()["format"] == "procedural"


def test_truncated_textures_are_left_out(folder):
    path = folder / "3.png"
    path.write_bytes(path.read_bytes()[:-200])
    assert Shapes(str(folder)).record()["skipped"] == {"truncated image": 1}


def test_faults(folder, tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        Shapes(str(tmp_path / "a" / "b"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no texture is left of the 0"):
        Shapes(str(tmp_path / "empty"))
    with pytest.raises(OptionError, match="did you mean `ellipse`"):
        Shapes(kinds=["elipse"])
    with pytest.raises(OptionError, match="kinds"):
        Shapes(kinds=[])
    with pytest.raises(OptionError, match="shading"):
        Shapes(shading=2)
