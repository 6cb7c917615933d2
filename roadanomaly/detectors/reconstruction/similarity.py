"""How far an image and its reconstruction differ, pixel by pixel."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from roadanomaly.detectors.ssim import ssim

CONTRAST = 0.0026
"""The constant of gradient magnitude similarity, for values in 0..1: 170 / 255^2."""

FLAT = 1e-12
"""Added to a squared gradient, so that its root has a slope where there is none."""

SCALES = 4


def squared_error(image: Tensor, reconstruction: Tensor) -> Tensor:
    """Return `mean_c (x_c - y_c)^2`, `(B, H, W)` float32."""
    return (image.float() - reconstruction.float()).square().mean(1)


def dissimilarity(image: Tensor, reconstruction: Tensor) -> Tensor:
    """Return `(1 - mean_c SSIM_c) / 2`, `(B, H, W)` float32 in 0..1."""
    with torch.autocast(image.device.type, enabled=False):
        return (1 - ssim(image, reconstruction).mean(1)) / 2


def gradient_difference(image: Tensor, reconstruction: Tensor, scales: int = SCALES) -> Tensor:
    """Return one minus the multi-scale gradient magnitude similarity, `(B, H, W)` in 0..1.

    At each scale `(2 g h + c) / (g^2 + h^2 + c)` of the magnitudes g and h of the grey images'
    Prewitt gradients, brought to image size; the mean over the scales, each half of the one before.

    Args:
        image: `(B, 3, H, W)` float in 0..1.
        reconstruction: the same shape and range.
        scales: how many; fewer where the image has no pixels left.

    Source: Xue et al., 2014, Gradient Magnitude Similarity Deviation, equations 2 to 4; over scales
    as in Zavrtanik et al., 2021, RIAD, section 3.2.
    """
    size = (image.shape[-2], image.shape[-1])
    with torch.autocast(image.device.type, enabled=False):
        one, other = (x.float().mean(1, keepdim=True) for x in (image, reconstruction))
        found = []
        for number in range(scales):
            if number:
                if min(one.shape[-2:]) < 2:
                    break
                one, other = (functional.avg_pool2d(x, 2) for x in (one, other))
            difference = _difference(one, other)
            if number:
                difference = functional.interpolate(difference, size=size, mode="bilinear")
            found.append(difference)
        return torch.stack(found).mean(0)[:, 0]


def _difference(one: Tensor, other: Tensor) -> Tensor:
    """Return one minus the similarity of `(B, 1, h, w)` grey images."""
    g, h = _gradient(one), _gradient(other)
    return (g - h).square() / (g.square() + h.square() + CONTRAST)


def _gradient(grey: Tensor) -> Tensor:
    """Return the magnitude of the Prewitt gradient; border pixels are repeated."""
    step = grey.new_ones(1, 1, 3, 3) / 3
    sign = torch.arange(-1, 2, device=grey.device, dtype=grey.dtype)
    padded = functional.pad(grey, (1, 1, 1, 1), mode="replicate")
    across = functional.conv2d(padded, step * sign)
    down = functional.conv2d(padded, step * sign[:, None])
    return (across.square() + down.square() + FLAT).sqrt()
