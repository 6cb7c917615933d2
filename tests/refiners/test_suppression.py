"""Blur, dilated smoothing and boundary suppression, against SciPy's images."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from roadanomaly.errors import OptionError
from roadanomaly.refiners import REFINERS
from roadanomaly.types import Segmentation

CROSS = ndimage.generate_binary_structure(2, 1)


def scores(height, width, seed=0):
    return np.random.default_rng(seed).normal(size=(height, width)).astype(np.float32)


def refined(name, score, classes=None, **options):
    classes = np.zeros(score.shape, np.int64) if classes is None else classes
    logits = torch.from_numpy(np.eye(classes.max() + 1)[classes]).permute(2, 0, 1)[None].float()
    segmentation = Segmentation(logits, score.shape, score.shape)
    image = torch.zeros(1, 3, *score.shape)
    return REFINERS.build(name, options)(torch.from_numpy(score)[None], segmentation, image)[0]


@pytest.mark.parametrize(("window", "sigma"), [(7, 1.0), (3, 0.5), (11, 2.5)])
@pytest.mark.parametrize("size", [(20, 31), (4, 5)])
def test_blur_is_scipys_gaussian(window, sigma, size):
    score = scores(*size)
    expected = ndimage.gaussian_filter(score, sigma, mode="nearest", radius=window // 2)
    np.testing.assert_allclose(
        refined("blur", score, window=window, sigma=sigma), expected, atol=1e-5
    )


@pytest.mark.parametrize("size", [(50, 61), (9, 7)])
def test_dilated_smoothing_is_a_correlation_with_a_kernel_full_of_gaps(size):
    score = scores(*size)
    line = np.exp(-(np.arange(-3, 4) ** 2) / 2)
    kernel = np.zeros((37, 37))
    kernel[::6, ::6] = np.outer(line, line) / line.sum() ** 2
    expected = ndimage.correlate(score.astype(np.float64), kernel, mode="nearest")
    np.testing.assert_allclose(refined("dilated_smoothing", score), expected, atol=1e-5)


def suppressed(score, classes, widths):
    """Pixel by pixel, with SciPy's dilation of the boundary."""
    edge = ndimage.grey_dilation(classes, (3, 3)) != ndimage.grey_erosion(classes, (3, 3))
    score = score.astype(np.float64)
    for width in widths:
        band = ndimage.binary_dilation(edge, CROSS, iterations=width) if width else edge
        filled = score.copy()
        for row, column in np.argwhere(band):
            around = np.s_[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2]
            outside = score[around][~band[around]]
            filled[row, column] = outside.mean() if len(outside) else score[row, column]
        score = filled
    return score


@pytest.mark.parametrize("widths", [(3, 2, 1, 0), (0,), (5, 5, 2)])
def test_boundary_suppression_fills_bands_from_their_rims(widths):
    classes = np.zeros((40, 50), np.int64)
    classes[10:25, 8:30], classes[:, 41:], classes[33:36, 3:6] = 1, 2, 3
    score = scores(40, 50)
    expected = suppressed(score, classes, widths)
    np.testing.assert_allclose(
        refined("boundary_suppression", score, classes, widths=widths), expected, atol=1e-5
    )


def test_boundaries_everywhere_leave_the_score():
    classes = np.indices((12, 12)).sum(0) % 2
    score = scores(12, 12)
    np.testing.assert_array_equal(refined("boundary_suppression", score, classes), score)


def test_without_a_segmenter_there_is_no_boundary():
    image = torch.zeros(1, 3, 9, 11)
    score = torch.from_numpy(scores(9, 11))[None]
    refiner = REFINERS.build("boundary_suppression")
    assert torch.equal(refiner(score, Segmentation.unasked(image), image), score)


@pytest.mark.parametrize("widths", [[], [1, 2], [-1], [65]])
def test_widths_that_make_no_sense_are_refused(widths):
    with pytest.raises(OptionError, match="falling widths from 0 to 64"):
        REFINERS.build("boundary_suppression", {"widths": widths})


@pytest.mark.parametrize(
    ("name", "options", "word"),
    [
        ("blur", {"window": 4}, "odd number"),
        ("blur", {"sigma": 0.0}, "sigma"),
        ("dilated_smoothing", {"dilation": 0}, "dilation"),
    ],
)
def test_options_out_of_range_are_refused(name, options, word):
    with pytest.raises(OptionError, match=word):
        REFINERS.build(name, options)
