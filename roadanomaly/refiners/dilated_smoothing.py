"""A Gaussian with gaps: a wide neighbourhood decides together, at the cost of a narrow one."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from roadanomaly.errors import OptionError
from roadanomaly.refiners.base import Refiner
from roadanomaly.refiners.blur import check_sigma, gaussian_mean
from roadanomaly.refiners.smoothing import check_window
from roadanomaly.types import Segmentation


class DilatedSmoothing(Refiner):
    """Gaussian mean of the score over taps that lie `dilation` pixels apart.

    Follows any detector; of standardized max logits it is the last step. Beyond the border the last
    pixels go on.

    Args:
        window: taps a side, odd.
        sigma: standard deviation of the Gaussian, in taps.
        dilation: pixels from one tap to the next; 1 is `blur`.

    Raises:
        OptionError: an even window, or a value out of range.

    Source: Jung et al., Standardized Max Logits, ICCV 2021, section 3.4: 7x7 taps, 6 pixels apart.
    As in the public code sigma is 1 and the border is repeated.
    """

    grid = "image"

    def __init__(self, window: int = 7, sigma: float = 1.0, dilation: int = 6) -> None:
        super().__init__()
        check_window("dilated_smoothing", "window", window)
        check_sigma("dilated_smoothing", sigma)
        if dilation < 1:
            msg = f"dilated_smoothing: `dilation` must be at least 1 pixel, not {dilation}."
            raise OptionError(msg)
        self.window = window
        self.sigma = sigma
        self.dilation = dilation

    def options(self) -> dict[str, Any]:
        """Return the constructor options."""
        return {"window": self.window, "sigma": self.sigma, "dilation": self.dilation}

    def forward(self, score: Tensor, segmentation: Segmentation, image: Tensor) -> Tensor:
        """Smooth, `(B, H, W)`."""
        del segmentation, image
        return gaussian_mean(score, self.window, self.sigma, self.dilation)
