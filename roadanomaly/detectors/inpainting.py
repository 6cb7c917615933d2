"""What the ground would show without its suspicious objects, and how the image differs."""

from __future__ import annotations

import math

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from roadanomaly.detectors.filling import closed, fill_smoothly
from roadanomaly.detectors.resynthesis.sizes import proportioned, resize_image
from roadanomaly.detectors.resynthesis.uncertainty import perceptual_difference
from roadanomaly.encoders import Encoder
from roadanomaly.encoders.base import SMALLEST

SUSPICIOUS = 0.5
"""Reconstruction error above which ground is looked at again."""

REACH = 0.125
"""Greatest half width of an object that is taken for a hole in the ground, as a share of the
image's height."""

RIM = 2
"""Pixels around a blob that are painted over too: its soft edge would be smeared into it."""

RADIUS = 3
"""Of OpenCV's inpainting, in pixels."""


def suspicious_blobs(error: Tensor, ground: Tensor) -> Tensor:
    """Return what stands on the ground and could not be rebuilt, `(B, h, w)` bool.

    Args:
        error: `(B, h, w)` in 0..1, of the reconstruction.
        ground: `(B, h, w)` bool, predicted ground. Its holes and bites count as ground (a closing).
    """
    side = _reach(ground)
    window = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    whole = [
        cv2.morphologyEx(one, cv2.MORPH_CLOSE, window)
        for one in ground.to(torch.uint8).cpu().numpy()
    ]
    return (error > SUSPICIOUS) & torch.from_numpy(np.stack(whole)).to(error.device).bool()


def _reach(ground: Tensor) -> int:
    """Return the side of the window that closes the ground."""
    return 2 * max(1, round(REACH * ground.shape[-2])) + 1


def paint_over(image: Tensor, blobs: Tensor) -> Tensor:
    """Fill blobs from their surroundings.

    Args:
        image: `(B, 3, h, w)` float in 0..1.
        blobs: `(B, h, w)` bool.

    Returns:
        `(B, 3, h, w)` float in 0..1; outside the blobs and their rim the image to 8 bits.

    Source: Telea, 2004, An Image Inpainting Technique Based on the Fast Marching Method; DaCUP
    uses a learned network, DeepFillv2, in its place.
    """
    pixels = (255 * image).round().byte().permute(0, 2, 3, 1).contiguous().cpu().numpy()
    masks = blobs.to(torch.uint8).cpu().numpy()
    window = np.ones((2 * RIM + 1, 2 * RIM + 1), np.uint8)
    painted = [
        cv2.inpaint(one, cv2.dilate(mask, window), RADIUS, cv2.INPAINT_TELEA)
        for one, mask in zip(pixels, masks, strict=True)
    ]
    return torch.from_numpy(np.stack(painted)).permute(0, 3, 1, 2).to(image) / 255


@torch.no_grad()
def perceptual_check(
    image: Tensor,
    error: Tensor,
    ground: Tensor,
    encoder: Encoder,
    size: tuple[int, int],
    *,
    learning: bool = False,
) -> tuple[Tensor, Tensor]:
    """Paint over the suspicious blobs and say how much that changes what an encoder sees there.

    Args:
        image: `(B, 3, H, W)` float in 0..1.
        error: `(B, H, W)` in 0..1, of the reconstruction.
        ground: `(B, H, W)` bool, predicted ground.
        encoder: whose features are compared.
        size: height and width to work at, in the image's proportions; a smaller image at its own.
        learning: stay on the device: the same blobs, filled smoothly (`fill_smoothly`) and not by
            OpenCV, for which a training step would have to wait.

    Returns:
        difference `(B, H, W)`, 0 outside the blobs, and the painted image `(B, 3, h, w)`.
    """
    full = image.shape[-2], image.shape[-1]
    stride = max(encoder.strides)
    most = min(size, full, key=math.prod)
    working = proportioned(most, full, stride, max(SMALLEST, stride))
    small, low = resize_image(image, working), resize_image(error[:, None], working)[:, 0]
    ground = resize_image(ground[:, None].float(), working)[:, 0] > 0.5
    if learning:
        blobs = (low > SUSPICIOUS) & closed(ground, _reach(ground))
        painted = fill_smoothly(small, blobs, RIM)
    else:
        blobs = suspicious_blobs(low, ground)
        if not blobs.any():
            return torch.zeros_like(error), small
        painted = paint_over(small, blobs)
    maps = encoder(torch.cat([small, painted]))
    seen, filled = ([one.chunk(2)[part] for one in maps] for part in (0, 1))
    difference = perceptual_difference(seen, filled, working) * blobs
    return functional.interpolate(difference[:, None], size=full, mode="bilinear")[:, 0], painted
