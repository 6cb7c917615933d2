"""Degradation in torch beside OpenCV's and Pillow's, and its slopes beside differences."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from roadanomaly.data import degrade
from roadanomaly.data.images import to_array
from roadanomaly.data.streets import Streets
from roadanomaly.data.transforms import Degrade
from tests.data.test_transforms import photo

STREET = Streets("train", count=1, height=150, width=203)[0].image
"""Sides that are no multiples of 16."""


def floats(image: torch.Tensor) -> torch.Tensor:
    return image.float() / 255


def levels(image: torch.Tensor) -> np.ndarray:
    return (255 * image).permute(1, 2, 0).numpy()


@pytest.mark.parametrize("quality", [1, 10, 40, 50, 75, 90, 100])
def test_jpeg_is_that_of_pillow_and_of_opencv(quality):
    """Measured: at most 0.24 grey levels apart on a street and 0.65 on noise, in the mean."""
    for image, bound in ((STREET, 0.35), (torch.from_numpy(photo()).permute(2, 0, 1), 0.8)):
        array = to_array(image)
        mine = levels(degrade.recompress(floats(image), quality))
        file = io.BytesIO()
        Image.fromarray(array).save(file, "JPEG", quality=quality)
        encoded = cv2.imencode(
            ".jpg", np.ascontiguousarray(array[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, quality]
        )[1]
        for theirs in (np.asarray(Image.open(file)), cv2.imdecode(encoded, 1)[..., ::-1]):
            apart = np.abs(mine - theirs).mean()
            assert apart < bound
            assert apart < 0.35 * np.abs(array.astype(float) - theirs).mean()
        assert np.abs(mine - mine.round()).max() < 1e-3


@pytest.mark.parametrize("sigma", [0.01, 0.4, 0.83, 1.2, 1.5])
def test_blur_is_that_of_opencv(sigma):
    mine = levels(degrade.blur(floats(STREET), sigma))
    array, size = to_array(STREET), round(6 * sigma + 1) | 1
    exact = cv2.GaussianBlur(array.astype(np.float32), (size, size), sigma)
    assert np.abs(mine - exact).max() < 1e-2
    coarse = cv2.GaussianBlur(array, (0, 0), sigma)
    assert np.abs(mine.round() - coarse).max() <= 1


def test_an_image_that_is_smaller_than_the_blur_or_a_block():
    image = torch.rand(3, 3, 5)
    assert torch.allclose(degrade.blur(torch.full((3, 2, 5), 0.5), 1.5), torch.tensor(0.5))
    assert degrade.blur(image, 1.5).shape == image.shape
    assert degrade.recompress(image, 60).shape == image.shape


def test_noise_has_the_deviation_that_was_asked_for():
    grey = torch.full((3, 200, 300), 0.5)
    noise = 255 * (degrade.add_noise(grey, 5.0, np.random.default_rng(0)) - 0.5)
    assert noise.mean().abs() < 0.05
    assert noise.std() == pytest.approx(5, rel=0.01)
    assert abs(np.corrcoef(noise[0].flatten(), noise[1].flatten())[0, 1]) < 0.02


@pytest.mark.parametrize("seed", range(8))
def test_floats_are_spoilt_as_the_loader_spoils(seed):
    """The same draws, and the same image but for rounding."""
    spoil = Degrade(p=0.7)
    ours, theirs = (np.random.default_rng(seed) for _ in range(2))
    mine = levels(spoil.image(floats(STREET), ours))
    array = to_array(spoil.image(STREET, theirs)).astype(float)
    assert ours.bit_generator.state == theirs.bit_generator.state
    assert np.abs(mine - array).mean() < 1
    assert np.abs(mine - mine.round()).max() < 1e-3


def test_without_a_chance_floats_stay_as_they_are():
    image = torch.rand(3, 20, 30)
    rng = np.random.default_rng(0)
    before = rng.bit_generator.state
    assert Degrade(p=0.0).image(image, rng) is image
    assert rng.bit_generator.state == before


def test_half_precision_around_it_changes_nothing():
    spoil = Degrade(p=1.0)
    plain = spoil.image(floats(STREET), np.random.default_rng(3))
    with torch.autocast("cpu", torch.bfloat16):
        inside = spoil.image(floats(STREET), np.random.default_rng(3))
    assert torch.equal(plain, inside)


def mild(height=18, width=21) -> torch.Tensor:
    """An image far from black and white, where nothing is cut off; in double precision."""
    made = 0.4 + 0.2 * torch.rand(3, height, width, dtype=torch.float64)
    return made.requires_grad_()


def along(slope, image, function) -> float:
    """How far, in parts of it, the slope in a random direction is from that of differences."""
    direction, step = torch.randn_like(image), 1e-4
    with torch.no_grad():
        ahead, behind = (function(image + sign * step * direction) for sign in (1, -1))
    expected = (ahead - behind).item() / (2 * step)
    return abs((slope * direction).sum().item() - expected) / abs(expected)


def test_the_slope_of_blur_and_noise_is_that_of_differences():
    def spoilt(image):
        return degrade.add_noise(degrade.blur(image, 1.1), 3.0, np.random.default_rng(0))

    image, weights = mild(), torch.randn(3, 18, 21, dtype=torch.float64)
    slope = torch.autograd.grad((weights * spoilt(image)).sum(), image)[0]
    assert along(slope, image, lambda moved: (weights * spoilt(moved)).sum()) < 1e-6


def test_the_slope_of_jpeg_is_that_of_the_same_without_rounding(monkeypatch):
    image, weights = mild(), torch.randn(3, 18, 21, dtype=torch.float64)

    def slope():
        return torch.autograd.grad((weights * degrade.recompress(image, 100)).sum(), image)[0]

    rounded = slope()
    monkeypatch.setattr(degrade, "whole", lambda values: values)
    assert torch.allclose(rounded, slope(), atol=1e-9)
    found = along(rounded, image, lambda moved: (weights * degrade.recompress(moved, 100)).sum())
    assert found < 1e-6
    assert rounded.abs().min() > 0


def test_what_is_cut_off_has_no_slope():
    image = torch.full((3, 16, 16), 1.2, requires_grad=True)
    degrade.grey_levels(image).sum().backward()
    assert not image.grad.any()
