"""The guided filter: a score that is smooth inside things and ends where they end."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn import functional

from roadanomaly.errors import OptionError
from roadanomaly.refiners.base import Refiner
from roadanomaly.refiners.smoothing import check_window, window_mean
from roadanomaly.types import Segmentation

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in brightness (ITU-R BT.601)."""


class Guided(Refiner):
    """Replaces the score, window by window, by the line through the image's brightness that fits.

    In a window k the score p is fitted by `a_k I + b_k`, with I the brightness and a ridge `eps` on
    a; a pixel takes the mean of the lines of all windows that hold it. Where the brightness varies
    little against `eps`, that is the windows' mean; where it jumps, the score may jump too.

    Args:
        window: side in cells of the coarse grid, odd.
        eps: ridge, as a variance of brightness in 0..1; small values follow faint edges.
        subsample: pixels a cell of the grid on which lines are fitted; they are then brought to
            image size and applied to its brightness. 1 fits at image size.

    Raises:
        OptionError: an even window, or a value out of range.

    Source: He, Sun, Tang, Guided Image Filtering, 2013, equations 5, 6 and 8; He, Sun, Fast Guided
    Filter, 2015, for `subsample`.
    """

    grid = "image"

    def __init__(self, window: int = 21, eps: float = 0.01, subsample: int = 4) -> None:
        super().__init__()
        check_window("guided", "window", window)
        if not eps > 0 or subsample < 1:
            msg = (
                "guided: `eps` must be above 0 and `subsample` at least 1, not "
                f"{eps:g} and {subsample}."
            )
            raise OptionError(msg)
        self.window = window
        self.eps = eps
        self.subsample = subsample

    def options(self) -> dict[str, Any]:
        """Return the constructor options."""
        return {"window": self.window, "eps": self.eps, "subsample": self.subsample}

    def forward(self, score: Tensor, segmentation: Segmentation, image: Tensor) -> Tensor:
        """Filter, `(B, H, W)`."""
        del segmentation
        weights = image.new_tensor(LUMA).view(1, 3, 1, 1)
        guide = (image * weights).sum(1)
        slope, offset = self._lines(self._coarse(score), self._coarse(guide))
        return self._grown(slope, guide) * guide + self._grown(offset, guide)

    def _coarse(self, values: Tensor) -> Tensor:
        if self.subsample == 1:
            return values
        return functional.avg_pool2d(
            values[:, None], self.subsample, ceil_mode=True, count_include_pad=False
        )[:, 0]

    def _grown(self, values: Tensor, like: Tensor) -> Tensor:
        """Bring cells to image size, each over its own pixels; the last may jut out."""
        if self.subsample == 1:
            return values
        rows, columns = (side * self.subsample for side in values.shape[-2:])
        grown = functional.interpolate(
            values[:, None], (rows, columns), mode="bilinear", align_corners=False
        )
        return grown[:, 0, : like.shape[-2], : like.shape[-1]]

    def _lines(self, score: Tensor, guide: Tensor) -> tuple[Tensor, Tensor]:
        """Return slope and offset of each cell, the means over the windows that hold it."""
        mean_score, mean_guide = window_mean(score, self.window), window_mean(guide, self.window)
        variance = window_mean(guide * guide, self.window) - mean_guide * mean_guide
        covariance = window_mean(guide * score, self.window) - mean_guide * mean_score
        slope = covariance / (variance.clamp_min(0) + self.eps)
        offset = mean_score - slope * mean_guide
        return window_mean(slope, self.window), window_mean(offset, self.window)
