"""Held-out crops that are the same in every run: what a density is measured on."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from roadanomaly.data import FrameSet
from roadanomaly.data.transforms import RandomScaleCrop

SEED = 20_221


def held_out_crops(
    frames: FrameSet, count: int, size: tuple[int, int], scale: tuple[float, float]
) -> Tensor:
    """Cut crops out of frames in turn, at random places and scales that never change.

    Args:
        frames: to cut from.
        count: of crops.
        size: height and width.
        scale: smallest and largest scale of a frame before the cut.

    Returns:
        `(count, 3, height, width)` uint8.
    """
    cut = RandomScaleCrop(*size, *scale)
    return torch.stack(
        [
            cut(frames[number % len(frames)], np.random.default_rng([SEED, number])).image
            for number in range(count)
        ]
    )
