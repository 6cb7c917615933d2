"""The scores that need no preparation, against SciPy and NumPy."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from scipy import special, stats
from scipy.interpolate import RegularGridInterpolator

import roadanomaly
from roadanomaly.errors import OptionError
from roadanomaly.types import Segmentation

CLOSED_FORMS = {
    "msp": lambda s: 1 - special.softmax(s, 1).max(1),
    "max_logit": lambda s: -s.max(1),
    "entropy": lambda s: stats.entropy(special.softmax(s, 1), axis=1),
    "energy": lambda s: -special.logsumexp(s, 1),
}


def logits(*shape, spread=4.0, seed=0):
    return np.random.default_rng(seed).normal(0, spread, shape)


def score(name, values, size=None, *, align_corners=False, padded=None, **options):
    size = size or values.shape[-2:]
    found = torch.from_numpy(values.astype(np.float32))
    segmentation = Segmentation(found, size, padded or size, align_corners)
    image = torch.zeros(len(values), 3, *size)
    return roadanomaly.detector(name, **options).score(segmentation, image).numpy()


@pytest.mark.parametrize("name", CLOSED_FORMS)
def test_closed_form(name):
    values = logits(2, 5, 6, 7)
    np.testing.assert_allclose(
        score(name, values), CLOSED_FORMS[name](values), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("name", CLOSED_FORMS)
def test_it_is_taken_on_the_logits_at_image_size(name):
    """Half-pixel bilinear growth as OpenCV's, then the formula: not the other way round."""
    values = logits(1, 5, 6, 7)
    planes = [cv2.resize(plane, (28, 24), interpolation=cv2.INTER_LINEAR) for plane in values[0]]
    expected = CLOSED_FORMS[name](np.stack(planes)[None])
    np.testing.assert_allclose(score(name, values, (24, 28)), expected, rtol=1e-4, atol=1e-5)


def test_aligned_corners_and_padding():
    """With aligned corners the corner cells lie on the corner pixels of the padded image."""
    values = logits(1, 5, 6, 7)
    rows, columns = np.linspace(0, 5, 32), np.linspace(0, 6, 48)
    grid = np.stack(np.meshgrid(rows, columns, indexing="ij"), -1)
    planes = [RegularGridInterpolator((range(6), range(7)), plane)(grid) for plane in values[0]]
    expected = -special.logsumexp(np.stack(planes), 0)[:29, :41]
    found = score("energy", values, (29, 41), align_corners=True, padded=(32, 48))[0]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_temperature(temperature):
    values = logits(1, 5, 3, 4)
    np.testing.assert_allclose(
        score("energy", values, temperature=temperature),
        -temperature * special.logsumexp(values / temperature, 1),
        rtol=1e-5,
    )
    np.testing.assert_allclose(
        score("msp", values, temperature=temperature),
        1 - special.softmax(values / temperature, 1).max(1),
        rtol=1e-4,
        atol=1e-6,
    )


@pytest.mark.parametrize("name", ["energy", "msp"])
@pytest.mark.parametrize("temperature", [0, -1.0])
def test_a_temperature_must_be_positive(name, temperature):
    with pytest.raises(OptionError, match=f"{name}: `temperature` must be positive"):
        roadanomaly.detector(name, temperature=temperature)


def test_ranges():
    """`msp` lies in 0..1 - 1/K and `entropy` in 0..ln K, with the flat distribution on top."""
    values = np.concatenate([logits(1, 5, 30, 30, spread=50), np.zeros((1, 5, 30, 30))])
    msp, entropy = score("msp", values), score("entropy", values)
    assert msp.min() >= 0
    assert entropy.min() >= 0
    np.testing.assert_allclose(msp[1], 1 - 1 / 5, rtol=1e-6)
    np.testing.assert_allclose(entropy[1], np.log(5), rtol=1e-6)
    assert msp.max() <= msp[1].max()
    assert entropy.max() <= entropy[1].max() + 1e-6


@pytest.mark.parametrize("name", CLOSED_FORMS)
def test_a_flat_pixel_scores_above_a_sure_one(name):
    values = np.zeros((1, 4, 1, 2))
    values[0, 2, 0, 0] = 9
    found = score(name, values)[0, 0]
    assert found[1] > found[0]


@pytest.mark.parametrize("name", CLOSED_FORMS)
def test_half_precision_logits_are_summed_in_float32(name):
    values = torch.from_numpy(logits(1, 5, 4, 4)).to(torch.bfloat16)
    segmentation = Segmentation(values, (4, 4), (4, 4))
    found = roadanomaly.detector(name).score(segmentation, torch.zeros(1, 3, 4, 4))
    assert found.dtype == torch.float32
    expected = CLOSED_FORMS[name](values.double().numpy())
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5, atol=1e-5)
