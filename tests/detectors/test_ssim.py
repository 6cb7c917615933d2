"""SSIM against SciPy's Gaussian windows, and the error made of it."""

from __future__ import annotations

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from roadanomaly.detectors.ssim import reconstruction_error, ssim


def reference(one, other):
    """Equation 13 of Wang et al. of two `(H, W)` arrays, in float64."""

    def window(values):
        return gaussian_filter(values, sigma=1.5, radius=5, mode="nearest")

    mean, mean_other = window(one), window(other)
    variance = window(one**2) - mean**2
    variance_other = window(other**2) - mean_other**2
    covariance = window(one * other) - mean * mean_other
    c1, c2 = 0.0001, 0.0009
    return ((2 * mean * mean_other + c1) * (2 * covariance + c2)) / (
        (mean**2 + mean_other**2 + c1) * (variance + variance_other + c2)
    )


def pair(seed=0):
    rng = np.random.default_rng(seed)
    one = rng.random((2, 3, 17, 23))
    return one, np.clip(one + rng.normal(0, 0.2, one.shape), 0, 1)


def test_equals_scipys_windows_everywhere():
    one, other = pair()
    expected = np.empty_like(one)
    for place in np.ndindex(2, 3):
        expected[place] = reference(one[place], other[place])
    found = ssim(torch.from_numpy(one), torch.from_numpy(other)).numpy()
    np.testing.assert_allclose(found, expected, atol=2e-5)


def test_the_error_takes_the_sign_away():
    """An image and its negative have a negative SSIM, which counts as similar, as published."""
    one, _ = pair()
    image = torch.from_numpy(one).float()
    assert ssim(image, 1 - image).mean() < -0.5
    expected = 1 - ssim(image, 1 - image).abs().clamp(max=1).mean(1)
    torch.testing.assert_close(reconstruction_error(image, 1 - image), expected)
    assert reconstruction_error(image, image).abs().max() < 1e-6


def test_gradients_are_finite_on_flat_images():
    flat = torch.full((1, 3, 16, 16), 0.5, requires_grad=True)
    reconstruction_error(torch.full((1, 3, 16, 16), 0.5), flat).sum().backward()
    assert torch.isfinite(flat.grad).all()
