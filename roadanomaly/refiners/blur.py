"""A Gaussian blur of the score."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from roadanomaly.errors import OptionError
from roadanomaly.refiners.base import Refiner
from roadanomaly.refiners.smoothing import check_window
from roadanomaly.types import Segmentation


class Blur(Refiner):
    """Gaussian mean of the score at image size; beyond the border its last pixels go on.

    Args:
        window: side in pixels, odd; 1 leaves the score as it is.
        sigma: standard deviation of the Gaussian, pixels.

    Raises:
        OptionError: an even window, or a deviation that is not positive.

    Source: the smoothing of Tian et al., PEBAL, ECCV 2022, and of Liu et al., RPL, ICCV 2023: 7x7
    pixels of deviation 1, the defaults here.
    """

    grid = "image"

    def __init__(self, window: int = 7, sigma: float = 1.0) -> None:
        super().__init__()
        check_window("blur", "window", window)
        check_sigma("blur", sigma)
        self.window = window
        self.sigma = sigma

    def options(self) -> dict[str, Any]:
        """Return the constructor options."""
        return {"window": self.window, "sigma": self.sigma}

    def forward(self, score: Tensor, segmentation: Segmentation, image: Tensor) -> Tensor:
        """Blur, `(B, H, W)`."""
        del segmentation, image
        return gaussian_mean(score, self.window, self.sigma)


def check_sigma(part: str, sigma: float) -> None:
    """Refuse a deviation that is not a positive number.

    Raises:
        OptionError: names the part and the value.
    """
    if not 0 < sigma < float("inf"):
        msg = f"{part}: `sigma` must be a number of pixels above 0, not {sigma:g}."
        raise OptionError(msg)


def gaussian_mean(values: Tensor, window: int, sigma: float, dilation: int = 1) -> Tensor:
    """Gaussian mean of `(B, h, w)`, rows after columns; the border's values go on beyond it.

    Args:
        values: `(B, h, w)` float.
        window: taps a side, odd.
        sigma: standard deviation, in taps.
        dilation: pixels from one tap to the next.
    """
    if window == 1:
        return values
    half = window // 2
    at = torch.arange(-half, half + 1, dtype=values.dtype, device=values.device)
    taps = torch.exp(-at.square() / (2 * sigma**2))
    taps = taps / taps.sum()
    reach = half * dilation
    grown = functional.pad(values[:, None], (reach, reach, reach, reach), mode="replicate")
    across = functional.conv2d(grown, taps.view(1, 1, 1, -1), dilation=(1, dilation))
    return functional.conv2d(across, taps.view(1, 1, -1, 1), dilation=(dilation, 1))[:, 0]
