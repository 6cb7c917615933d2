"""Blobs on the device: the closing is OpenCV's, and holes are filled from around."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from roadanomaly.detectors.filling import closed, fill_smoothly
from roadanomaly.detectors.inpainting import perceptual_check, suspicious_blobs
from tests.detectors.test_dacup import Colours, scene


@pytest.mark.parametrize("side", [3, 17, 31])
def test_the_closing_is_that_of_opencv(side):
    mask = cv2.GaussianBlur(np.random.default_rng(side).random((2, 40, 60)), (0, 0), 2) > 0.51
    window = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    expected = [cv2.morphologyEx(one.astype(np.uint8), cv2.MORPH_CLOSE, window) for one in mask]
    found = closed(torch.from_numpy(mask), side).numpy()
    assert (found == np.stack(expected).astype(bool)).all()
    assert mask.sum() < found.sum()


def test_outside_holes_and_rims_the_image_stays():
    image = torch.rand(2, 3, 37, 53)
    holes = torch.zeros(2, 37, 53, dtype=torch.bool)
    holes[:, 10:20, 12:30] = True
    filled = fill_smoothly(image, holes, 2)
    outside = torch.ones_like(holes)
    outside[:, 8:22, 10:32] = False
    assert torch.equal(filled.movedim(1, -1)[outside], image.movedim(1, -1)[outside])
    assert not torch.equal(filled, image)


def test_a_hole_in_one_colour_gets_that_colour_and_its_own_is_gone():
    image = torch.full((1, 3, 40, 64), 0.25)
    image[..., 10:20, 12:30] = 1.0
    holes = (image[:, 0] == 1.0).clone()
    filled = fill_smoothly(image, holes, 2)
    torch.testing.assert_close(filled, torch.full_like(image, 0.25), rtol=0, atol=1e-3)


def test_a_hole_between_two_colours_goes_from_one_to_the_other():
    image = torch.zeros(1, 1, 32, 64)
    image[..., 32:] = 1.0
    holes = torch.zeros(1, 32, 64, dtype=torch.bool)
    holes[..., 20:44] = True
    middle = fill_smoothly(image, holes, 1)[0, 0, 16]
    assert middle[20] < 0.2
    assert middle[43] > 0.8
    assert (middle.diff() > -1e-3).all()


def test_where_all_is_hole_the_image_s_mean_fills():
    image = torch.rand(1, 3, 16, 32)
    filled = fill_smoothly(image, torch.ones(1, 16, 32, dtype=torch.bool), 2)
    torch.testing.assert_close(filled.mean((2, 3)), image.mean((2, 3)), rtol=0, atol=0.05)
    assert filled.std() < image.std() / 2


def test_in_training_the_same_blobs_change_about_as_much():
    """A red box on grey ground is grey when it is filled, by either way: 0.5 away in the mean."""
    image, error, ground = scene()
    blobs = suspicious_blobs(error, ground)
    by_opencv, _ = perceptual_check(image, error, ground, Colours(), (64, 96))
    smooth, painted = perceptual_check(image, error, ground, Colours(), (64, 96), learning=True)
    assert torch.equal(by_opencv > 0, blobs)
    assert torch.equal(smooth > 0, blobs)
    torch.testing.assert_close(smooth, by_opencv, rtol=0, atol=0.02)
    assert (painted[..., 30:, :] - 0.5).abs().max() < 0.02
    nothing, same = perceptual_check(image, 0 * error, ground, Colours(), (64, 96), learning=True)
    assert nothing.max() == 0
    assert torch.equal(same, image)
