"""The mean of a score over a window: neighbouring cells judge together."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn import functional

from roadanomaly.errors import OptionError
from roadanomaly.refiners.base import Refiner
from roadanomaly.types import Segmentation


class Smooth(Refiner):
    """Mean of the score over a square window of the detector's own grid.

    Args:
        window: side in cells, odd; 1 leaves the score as it is. At the border the cells inside the
            map are averaged.

    Raises:
        OptionError: an even window, or none.
    """

    grid = "native"

    def __init__(self, window: int = 11) -> None:
        super().__init__()
        check_window("smooth", "window", window)
        self.window = window

    def options(self) -> dict[str, Any]:
        """Return the constructor options."""
        return {"window": self.window}

    def forward(self, score: Tensor, segmentation: Segmentation, image: Tensor) -> Tensor:
        """Average, `(B, h, w)`."""
        del segmentation, image
        return window_mean(score, self.window)


def check_window(part: str, option: str, side: int) -> None:
    """Refuse an even window, or none.

    Raises:
        OptionError: names the part, its option and the value.
    """
    if side < 1 or side % 2 == 0:
        msg = f"{part}: `{option}` must be an odd number of cells, 1 for none, not {side}."
        raise OptionError(msg)


def window_mean(values: Tensor, side: int) -> Tensor:
    """Mean of `(B, h, w)` over a square window of `side` cells, of those inside the map."""
    if side == 1:
        return values
    mean = values[:, None]
    for window in ((side, 1), (1, side)):
        margin = (window[0] // 2, window[1] // 2)
        mean = functional.avg_pool2d(mean, window, 1, margin, count_include_pad=False)
    return mean[:, 0]
