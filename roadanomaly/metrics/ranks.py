"""Places of competitors by a number, and the mean place over several numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

Better = Literal["higher", "lower"]


def ranks(values: Sequence[float], better: Better) -> np.ndarray:
    """Return the place of each value, 1 for the best.

    Equal values share the mean of their places. NaN comes last, and shares those places likewise.

    Args:
        values: `(N,)`, one a competitor.
        better: which end is the best.

    Returns:
        `(N,)` float.

    >>> ranks([0.5, 0.9, 0.5, float("nan")], "higher")
    array([2.5, 1. , 2.5, 4. ])
    """
    given = np.asarray(values, float)
    costs = -given if better == "higher" else given
    known = ~np.isnan(costs)
    places = np.full(given.size, (np.count_nonzero(known) + 1 + given.size) / 2)
    below = (costs[known][:, None] > costs[known]).sum(1)
    level = (costs[known][:, None] == costs[known]).sum(1)
    places[known] = below + (level + 1) / 2
    return places
