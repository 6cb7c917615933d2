"""Blobs on the ground, and what lies around them in their place, without leaving the device."""

from __future__ import annotations

import cv2
import torch
from torch import Tensor
from torch.nn import functional

FAINT = 1e-6
"""Weight of a pixel that is filled: where nothing else is there, the image's own mean fills."""


def closed(mask: Tensor, side: int) -> Tensor:
    """Close a mask by an ellipse as OpenCV does: beyond the border nothing limits it.

    Args:
        mask: `(B, h, w)` bool.
        side: of the ellipse in pixels, odd.
    """
    ellipse = torch.from_numpy(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))
    window = ellipse.to(mask.device, torch.float32, non_blocking=True)
    return ~_touched(~_touched(mask, window), window)


def _touched(mask: Tensor, window: Tensor) -> Tensor:
    """Return where a window about a pixel meets a mask."""
    with torch.autocast(mask.device.type, enabled=False):
        met = functional.conv2d(mask[:, None].float(), window[None, None], padding="same")
    return met[:, 0] > 0.5


def fill_smoothly(image: Tensor, holes: Tensor, rim: int) -> Tensor:
    """Fill holes from their surroundings, nearer ones counting more.

    The image is halved until one pixel is left, each time by the mean of what is known; what a
    scale does not know, it takes from the next coarser one (pull-push).

    Args:
        image: `(B, C, h, w)` float.
        holes: `(B, h, w)` bool.
        rim: pixels around a hole that are filled too.

    Returns:
        `(B, C, h, w)` float; outside holes and rims the image.

    Source: Gortler et al., 1996, The Lumigraph, section 3.5.
    """
    grown = functional.max_pool2d(holes[:, None].float(), 2 * rim + 1, 1, rim)
    weight = (1 - grown).clamp_min(FAINT)
    scales = [(image.float(), weight)]
    while max(weight.shape[-2:]) > 1:
        image, weight = _halved(*scales[-1])
        scales.append((image, weight))
    filled = scales.pop()[0]
    for own, known in reversed(scales):
        size = (own.shape[-2], own.shape[-1])
        coarser = functional.interpolate(filled, size=size, mode="bilinear")
        filled = torch.lerp(coarser, own, known)
    return torch.where(grown > 0, filled, scales[0][0])


def _halved(image: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return the weighted means of blocks of 2x2 pixels, and how much is known of each, 0 to 1."""
    total = functional.avg_pool2d(weight, 2, ceil_mode=True)
    mean = functional.avg_pool2d(image * weight, 2, ceil_mode=True) / total
    return mean, (4 * total).clamp(max=1)
