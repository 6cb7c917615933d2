"""The sizes of frames that a dynamic graph takes."""

from __future__ import annotations

from roadanomaly.errors import OptionError
from roadanomaly.segmenters import Segmenter

LEAST = 64
"""Pixels of the shortest side that a dynamic graph takes, where the network needs no more."""

OTHERS = ((0.7, 0.7), (1.2, 0.6))
"""Beside the size that is asked for, a graph is compared at these shares of its sides."""


def least_side(segmenter: Segmenter) -> int:
    """Return the pixels of the shortest side for which a dynamic graph is written.

    Exporters take a map of one pixel for a constant, so it is two steps of the network or more.
    """
    return max(LEAST, 2 * segmenter.divisor)


def check_size(size: tuple[int, int], least: int) -> None:
    """Refuse frames of `(H, W)` that are too small for a dynamic graph.

    Raises:
        OptionError: a side is shorter than `least`.
    """
    if min(size) < least:
        msg = (
            f"a dynamic graph of this network takes frames from {least} pixels a side, not "
            f"{size[0]}x{size[1]} (HxW); scale them up, or export for that size alone."
        )
        raise OptionError(msg)


def other_sizes(size: tuple[int, int], least: int) -> list[tuple[int, int]]:
    """Return another resolution and another aspect ratio than `(H, W)`, to compare at."""
    grow = 1 if 0.6 * min(size) >= least else 2
    return [(round(grow * x * size[0]), round(grow * y * size[1])) for x, y in OTHERS]
