"""A bounded sample of numbers: a uniform one of a stream, an even one of what lies in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

Rows = TypeVar("Rows", "np.ndarray", "Tensor")


def evenly(rows: Rows, most: int) -> Rows:
    """Return every n-th of rows `(N, ...)`, from the first on, so that `most` are left at most."""
    return rows[:: max(1, -(-len(rows) // most))]


class Reservoir:
    """Keeps all numbers while they fit, and then a uniform draw without replacement of all.

    Args:
        capacity: numbers that are kept at most, of 8 bytes each.
        seed: of the draws, of which there are none while all fit.

    Source: Vitter, 1985, Random sampling with a reservoir, algorithm R.
    """

    def __init__(self, capacity: int, seed: int) -> None:
        self.capacity = capacity
        self.seen = 0
        self._parts: list[np.ndarray] = []
        self._rng = np.random.default_rng([seed, capacity])

    def add(self, values: np.ndarray) -> None:
        """Take 1-D values in, in their order."""
        room = max(self.capacity - self.seen, 0)
        if room:
            self._parts.append(np.array(values[:room], np.float64))
        self._replace(values[room:], self.seen + min(room, len(values)))
        self.seen += len(values)

    def _replace(self, values: np.ndarray, before: int) -> None:
        """Put value number `n` of the stream, from 0, in a place that is drawn from `n + 1`."""
        places = self._rng.integers(0, np.arange(before, before + len(values)) + 1)
        chosen = np.flatnonzero(places < self.capacity)[::-1]
        if chosen.size:  # of those that draw one place, the last stays
            place, last = np.unique(places[chosen], return_index=True)
            self.values()[place] = values[chosen[last]]

    def values(self) -> np.ndarray:
        """Return what is kept, float64, `(min(seen, capacity),)`."""
        if len(self._parts) != 1:
            self._parts = [np.concatenate([np.empty(0), *self._parts])]
        return self._parts[0]
