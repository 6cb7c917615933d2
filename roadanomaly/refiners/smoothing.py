"""The mean of a score over a window: neighbouring cells judge together."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from roadanomaly.errors import OptionError


def check_window(detector: str, side: int) -> None:
    """Refuse an even window, or none.

    Raises:
        OptionError: names the detector and the value.
    """
    if side < 1 or side % 2 == 0:
        msg = f"{detector}: `smooth` must be an odd number of cells, 1 for none, not {side}."
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
