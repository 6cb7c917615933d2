"""RIAD: what its surroundings do not tell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from roadanomaly.detectors.losses import masked_mean
from roadanomaly.detectors.reconstruction.image_detector import ImageDetector
from roadanomaly.detectors.reconstruction.networks import UNet
from roadanomaly.detectors.reconstruction.similarity import (
    dissimilarity,
    gradient_difference,
    squared_error,
)
from roadanomaly.detectors.widths import check_widths
from roadanomaly.errors import OptionError
from roadanomaly.refiners.smoothing import check_window, window_mean
from roadanomaly.types import Batch, Segmentation

PRIME = 9973


class Riad(ImageDetector):
    """Gradient magnitude dissimilarity of the image and what is painted into its holes.

    The image is cut into square cells, which fall into disjoint sets at random. A U-Net paints the
    cells of each set from all others; put together, the painted cells are a reconstruction of
    which no pixel was seen. That is done with cells of several sizes; the score is the mean of
    their dissimilarities.

    Args:
        widths: channels of the U-Net at full size and at each halving after it.
        cells: sides of the cells, in pixels.
        sets: how many the cells fall into, at least 2.
        score_l2: weight of the squared error in the score, beside the gradients'; 0 as published.
        smooth: side of the window, in pixels, odd, over which the score is averaged.

    Raises:
        OptionError: a value out of range.

    Source: Zavrtanik et al., 2021, Reconstruction by Inpainting for Visual Anomaly Detection,
    section 3. Differs: `score_l2`, since a smooth object has no gradients; which cells fall into
    which set is the same in every image at inference, so that its score does not change.
    """

    paper = "Zavrtanik et al., Reconstruction by Inpainting, Pattern Recognition 2021"

    def __init__(
        self,
        widths: Sequence[int] = (16, 32, 64, 96),
        cells: Sequence[int] = (2, 4, 8, 16),
        sets: int = 3,
        score_l2: float = 0.0,
        smooth: int = 21,
    ) -> None:
        super().__init__()
        check_widths("riad", widths, 2)
        check_window("riad", "smooth", smooth)
        if min(cells, default=0) < 1 or sets < 2 or score_l2 < 0:
            msg = (
                "riad: `cells` are sides from 1 pixel on, `sets` at least 2 and `score_l2` not "
                f"negative, not {list(cells)}, {sets} and {score_l2:g}."
            )
            raise OptionError(msg)
        self.widths, self.cells, self.sets = list(widths), list(cells), sets
        self.score_l2, self.smooth = score_l2, smooth
        self.stride = 2 ** (len(widths) - 1)
        self.network = UNet(3, 3, widths)

    def options(self) -> dict[str, Any]:
        """Return the constructor options."""
        return {
            "widths": self.widths,
            "cells": self.cells,
            "sets": self.sets,
            "score_l2": self.score_l2,
            "smooth": self.smooth,
        }

    def paint(self, image: Tensor, side: int, seed: int) -> Tensor:
        """Return the image of painted cells, none of whose pixels was seen, `(B, 3, H, W)`.

        Args:
            image: `(B, 3, H, W)` in 0..1, sides multiples of `stride`.
            side: of the cells.
            seed: decides which cells fall into which set.
        """
        number = set_numbers(image, side, self.sets, seed)
        whole = torch.zeros_like(image, dtype=torch.float32)
        for one in range(self.sets):
            hidden = number == one
            seen = (image - 0.5).masked_fill(hidden, 0.0)
            whole = torch.where(hidden, self.network(seen).float().sigmoid(), whole)
        return whole

    def judge(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean of the painted images, and the mean of their differences."""
        painted = [self.paint(image, side, 0) for side in self.cells]
        errors = []
        for one in painted:
            error = gradient_difference(image, one)
            if self.score_l2:
                error = error + self.score_l2 * squared_error(image, one)
            errors.append(error)
        score = window_mean(torch.stack(errors).mean(0), self.smooth)
        return torch.stack(painted).mean(0), score

    def loss(self, segmentation: Segmentation, batch: Batch) -> dict[str, Tensor]:
        """Return the differences at inlier pixels, with cells of a size that is drawn."""
        del segmentation
        self.ready = True
        image, inlier = self.inliers(batch)
        side = self.cells[int(torch.randint(len(self.cells), ()))]
        found = self.paint(image, side, int(torch.randint(PRIME, ())))
        return {
            "l2": masked_mean(squared_error(image, found), inlier),
            "ssim": masked_mean(dissimilarity(image, found), inlier),
            "gradients": masked_mean(gradient_difference(image, found), inlier),
        }


def set_numbers(image: Tensor, side: int, sets: int, seed: int) -> Tensor:
    """Return which set each pixel's cell falls into, `(H, W)` int64 in 0..sets-1.

    Whole numbers are mixed in place of a draw, so that every device and runtime says the same.

    Args:
        image: of whose size and device it is.
        side: of the cells.
        sets: how many.
        seed: a whole number below 10,000.
    """
    row, column = (torch.arange(length, device=image.device) // side for length in image.shape[-2:])
    mixed = (row * 6971 + seed * 131 + 17)[:, None] % PRIME
    mixed = (mixed * mixed + column * 7919 + 29) % PRIME
    mixed = (mixed * mixed + mixed * 31) % PRIME
    return (mixed * mixed) % PRIME % sets
