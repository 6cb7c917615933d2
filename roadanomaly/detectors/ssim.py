"""Structural similarity of two images, and the error that JSRNet makes of it."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

WINDOW = 11
SIGMA = 1.5
LUMINANCE, CONTRAST = 0.01**2, 0.03**2
"""The constants C1 and C2, for values in 0..1."""


def ssim(one: Tensor, other: Tensor) -> Tensor:
    """Return the structural similarity at every pixel and channel.

    Local means, variances and the covariance are weighted by a Gaussian window of 11x11 pixels
    with deviation 1.5. At the border the edge pixels are repeated.

    Args:
        one: `(B, C, H, W)` float in 0..1.
        other: the same shape and range.

    Returns:
        `(B, C, H, W)` float32 in -1..1; 1 where both windows are equal.

    Source: Wang, Bovik, Sheikh, Simoncelli, 2004, Image Quality Assessment, equation 13.
    """
    one, other = one.float(), other.float()
    count = one.shape[1]
    maps = torch.cat([one, other, one * one, other * other, one * other], 1)
    mean, mean_other, square, square_other, product = _blur(maps).split(count, 1)
    variance, variance_other = square - mean * mean, square_other - mean_other * mean_other
    covariance = product - mean * mean_other
    above = (2 * mean * mean_other + LUMINANCE) * (2 * covariance + CONTRAST)
    below = (mean * mean + mean_other * mean_other + LUMINANCE) * (
        variance + variance_other + CONTRAST
    )
    return above / below


def reconstruction_error(image: Tensor, reconstruction: Tensor) -> Tensor:
    """Return `1 - mean_c min(|SSIM_c|, 1)`, `(B, H, W)` float32 in 0..1, as JSRNet takes it.

    Args:
        image: `(B, C, H, W)` float in 0..1.
        reconstruction: the same shape and range.
    """
    with torch.autocast(image.device.type, enabled=False):
        return 1 - ssim(image, reconstruction).abs().clamp(max=1).mean(1)


def _blur(maps: Tensor) -> Tensor:
    """Weight `(B, C, H, W)` by the window, first along the columns, then along the rows."""
    count = maps.shape[1]
    place = torch.arange(WINDOW, device=maps.device, dtype=maps.dtype) - WINDOW // 2
    weights = torch.exp(-(place**2) / (2 * SIGMA**2))
    weights = (weights / weights.sum()).expand(count, 1, 1, WINDOW)
    half = WINDOW // 2
    padded = functional.pad(maps, (half, half, half, half), mode="replicate")
    across = functional.conv2d(padded, weights, groups=count)
    return functional.conv2d(across, weights.transpose(2, 3), groups=count)
