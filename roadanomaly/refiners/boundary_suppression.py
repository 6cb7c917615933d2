"""Boundary suppression: between two classes a score takes over what lies beside the boundary."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from roadanomaly.errors import OptionError
from roadanomaly.refiners.base import Refiner
from roadanomaly.types import Segmentation

WIDEST = 64
"""Greatest width that is allowed, pixels."""


class BoundarySuppression(Refiner):
    """Fills the score on boundaries of the predicted class map from the pixels beside them.

    A pixel lies on a boundary where the 3x3 pixels around it are predicted as more than one class.
    For each width in turn, the boundary is all that lies at most so many steps (of one row or one
    column) from such a pixel; a pixel of it takes the mean of those among the 3x3 around it that
    lie outside, and keeps its score where none does. So a band is filled from its rim inwards.

    Follows any detector; of standardized max logits it is the second step. Where no segmenter was
    asked there is no boundary, and the score stays.

    Args:
        widths: of the band in each iteration, steps to either side; falling, so that each fills
            what the last has left.

    Raises:
        OptionError: no width, one out of range, or widths that rise.

    Source: Jung et al., Standardized Max Logits, ICCV 2021, section 3.3, equation 5: widths from 3
    to 0. As in the public code the distance is that of a diamond; differs from it at the image's
    border, where the pixels inside the image are averaged.
    """

    grid = "image"

    def __init__(self, widths: Sequence[int] = (3, 2, 1, 0)) -> None:
        super().__init__()
        falling = list(widths) == sorted(widths, reverse=True)
        if not widths or min(widths) < 0 or max(widths) > WIDEST or not falling:
            msg = (
                f"boundary_suppression: `widths` is {list(widths)}; give falling widths from 0 to "
                f"{WIDEST}, as [3, 2, 1, 0]."
            )
            raise OptionError(msg)
        self.widths = tuple(widths)

    def options(self) -> dict[str, Any]:
        """Return the constructor options."""
        return {"widths": list(self.widths)}

    def forward(self, score: Tensor, segmentation: Segmentation, image: Tensor) -> Tensor:
        """Fill the bands, `(B, H, W)`."""
        del image
        score = score[:, None]
        bands = _bands(_boundary(segmentation.classes()), max(self.widths))
        for width in self.widths:
            score = _filled(score, bands[width])
        return score[:, 0]


def _boundary(classes: Tensor) -> Tensor:
    """Return 1 where the 3x3 pixels of `(B, H, W)` classes differ, else 0: `(B, 1, H, W)` float."""
    values = classes[:, None].float()
    highest = functional.max_pool2d(values, 3, 1, 1)
    lowest = -functional.max_pool2d(-values, 3, 1, 1)
    return (highest != lowest).float()


def _bands(boundary: Tensor, widest: int) -> list[Tensor]:
    """Return the boundary grown by 0, 1, ... steps to the four sides."""
    bands = [boundary]
    for _ in range(widest):
        upright = functional.max_pool2d(bands[-1], (3, 1), 1, (1, 0))
        across = functional.max_pool2d(bands[-1], (1, 3), 1, (0, 1))
        bands.append(torch.maximum(upright, across))
    return bands


def _filled(score: Tensor, band: Tensor) -> Tensor:
    """Replace the score on a band by the mean of the pixels around that are not on it."""
    outside = 1 - band
    total = functional.avg_pool2d(score * outside, 3, 1, 1)
    share = functional.avg_pool2d(outside, 3, 1, 1)  # of the nine pixels; 0, or 1/9 at least
    return torch.where((band > 0) & (share > 0), total / share.clamp_min(0.1), score)
