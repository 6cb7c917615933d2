"""Order statistics and counts of many scores, found without sorting them all."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

_PATTERNS = 1 << 16
_BUCKETS = 1 << 17
_FEW = 1 << 12
_MANY = 3
_NEGATIVE_INFINITY, _POSITIVE_INFINITY = 0xFC00, 0x7C00


class Order(Protocol):
    """The values of one class as if they were sorted, ascending."""

    size: int

    def at(self, ranks: np.ndarray) -> np.ndarray:
        """Return the values at zero-based `ranks` (int64), in the type of the values."""

    def ends(self) -> tuple[Any, Any]:
        """Return the lowest and the highest value, in the type of the values."""

    def below(self, edges: np.ndarray) -> np.ndarray:
        """Count the values `< edge` for each of `edges` (float64, no NaN); int64."""


def order(values: np.ndarray) -> Order:
    """Choose how to look at `values`, `(N,)` float16, float32 or float64 without NaN.

    float16 is counted bit pattern by bit pattern. (`numpy.sort` is kept away from float16: with
    many equal values, numpy 2.4.6 leaves some out of order on processors with AVX-512.)
    """
    if values.dtype == np.float16:
        return _Counted(values)
    if values.size > _FEW:
        low, high = values.min(), values.max()
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            scale = (_BUCKETS - 1) / (high - low)
        if np.isfinite(scale) and scale > 0:
            return _Bucketed(values, low, high, scale)
    return _Sorted(np.sort(values))


def _round_up(edges: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return the smallest number of `dtype` that is not below each edge."""
    with np.errstate(over="ignore"):
        rounded = edges.astype(dtype)
        return np.where(rounded < edges, np.nextafter(rounded, dtype.type(np.inf)), rounded)


class _Sorted:
    """Values that are in order already."""

    def __init__(self, values: np.ndarray) -> None:
        self.size = values.size
        self._values = values

    def at(self, ranks: np.ndarray) -> np.ndarray:
        return self._values[ranks]

    def ends(self) -> tuple[Any, Any]:
        return self._values[0], self._values[-1]

    def below(self, edges: np.ndarray) -> np.ndarray:
        return np.searchsorted(self._values, _round_up(edges, self._values.dtype), side="left")


class _Counted:
    """Halves: one count for each of the 63490 bit patterns from -inf to +inf."""

    patterns = np.concatenate(
        [
            np.arange(_NEGATIVE_INFINITY, (1 << 15) - 1, -1, dtype=np.uint16),
            np.arange(0, _POSITIVE_INFINITY + 1, dtype=np.uint16),
        ]
    )
    numbers = patterns.view(np.float16)
    wide = numbers.astype(np.float64)

    def __init__(self, values: np.ndarray) -> None:
        self.size = values.size
        counts = np.bincount(values.view(np.uint16), minlength=_PATTERNS)
        self._before = np.zeros(self.patterns.size + 1, np.int64)
        np.cumsum(counts[self.patterns], out=self._before[1:])

    def at(self, ranks: np.ndarray) -> np.ndarray:
        return self.numbers[np.searchsorted(self._before[1:], ranks, side="right")]

    def ends(self) -> tuple[Any, Any]:
        low, high = self.at(np.array([0, self.size - 1]))
        return low, high

    def below(self, edges: np.ndarray) -> np.ndarray:
        return self._before[np.searchsorted(self.wide, edges, side="left")]


class _Bucketed:
    """Many values: equal-width buckets, of which only those that are asked about are sorted.

    Placing a value (subtract, scale, truncate) never reverses the order of two values, so the
    values of a bucket follow those of all lower buckets.
    """

    def __init__(self, values: np.ndarray, low: Any, high: Any, scale: Any) -> None:
        self.size = values.size
        self._values, self._low, self._high, self._scale = values, low, high, scale
        self._bucket = self._place(values)
        self._counts = np.bincount(self._bucket, minlength=_BUCKETS)
        self._before = np.zeros(_BUCKETS + 1, np.int64)
        np.cumsum(self._counts, out=self._before[1:])
        self._ascending: np.ndarray | None = None

    def at(self, ranks: np.ndarray) -> np.ndarray:
        buckets = np.searchsorted(self._before, ranks, side="right") - 1
        inside, first = self._look_into(buckets)
        return inside[first[buckets] + ranks - self._before[buckets]]

    def ends(self) -> tuple[Any, Any]:
        return self._low, self._high

    def below(self, edges: np.ndarray) -> np.ndarray:
        limits = _round_up(edges, self._values.dtype)
        buckets = self._place(np.clip(limits, self._low, self._high))
        inside, first = self._look_into(buckets)
        found = np.searchsorted(inside, limits, side="left")
        return self._before[buckets] + found - first[buckets]

    def _place(self, values: np.ndarray) -> np.ndarray:
        return ((values - self._low) * self._scale).astype(np.int32)

    def _look_into(self, buckets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Sort the values in `buckets`; count, for each bucket, those of them in lower ones.

        Where that would be many of the values, all are sorted, once.
        """
        asked = np.zeros(_BUCKETS, bool)
        asked[buckets] = True
        counts = np.where(asked, self._counts, 0)
        if self._ascending is None and counts.sum() > self.size // _MANY:
            self._ascending = _sort_bucketed(self._values, self._bucket, self._counts)
        if self._ascending is not None:
            return self._ascending, self._before
        chosen = np.flatnonzero(asked.take(self._bucket))
        inside = _sort_bucketed(self._values.take(chosen), self._bucket.take(chosen), counts)
        return inside, np.cumsum(counts) - counts


def _sort_bucketed(values: np.ndarray, bucket: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Sort values; by counting alone where no bucket holds two different ones."""
    sample = np.zeros(counts.size, values.dtype)
    sample[bucket] = values
    if np.array_equal(sample.take(bucket), values):
        return np.repeat(sample, counts)
    return np.sort(values)
