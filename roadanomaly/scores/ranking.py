"""One monotone map of a data set's scores to half precision that keeps their ranking.

Half precision by rounding loses ranks where scores are large, tiny or crowded. Here the scores of
all frames together are cut into as many levels as there are usable halves: half of the levels
by rank, half by the logarithm of the rank from the top, where precision is decided. Only ranks
matter, so a monotone change of the scores changes nothing but their rounding.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from roadanomaly.errors import DataError

_POINTS = 1 << 16
_MOST_POINTS = 1 << 21
_KEPT_POINTS = 1 << 19
_HALF_32752 = 0x77FF
"""Bits of 32752: from -32752 to 32752 the range of a frame, 65504, is still a half."""


def usable_halves() -> np.ndarray:
    """Return the halves from -32752 to 32752 in ascending order, without -0; `(61439,)`."""
    positive = np.arange(_HALF_32752 + 1, dtype=np.uint16).view(np.float16)
    return np.concatenate([-positive[:0:-1], positive])


def _share_above(above: np.ndarray, total: float, levels: int) -> np.ndarray:
    """Share of the levels that lie over a score with `above` pixels over it; 0 at the top.

    The logarithm bends where one more level a pixel would stay empty.
    """
    bend = levels / 32
    return (above / total + np.log1p(above / bend) / np.log1p(total / bend)) / 2


class RankSketch:
    """Where the scores of a data set lie, from frames that pass by once.

    Of a frame, at most 65,536 scores are kept with the number of pixels that each stands for;
    all of them while a frame has no more distinct ones. Sketches merge.
    """

    def __init__(self) -> None:
        self._values: list[np.ndarray] = []
        self._counts: list[np.ndarray] = []
        self._size = 0

    def update(self, score: np.ndarray) -> None:
        """Take in one map.

        Args:
            score: `(H, W)` float16, float32 or float64.

        Raises:
            DataError: a score is NaN or infinite.
        """
        if not np.isfinite(score).all():
            msg = (
                f"{int((~np.isfinite(score)).sum())} of {score.size} scores are NaN or infinite; "
                "only finite scores can be mapped to half precision."
            )
            raise DataError(msg)
        wide = score.astype(np.float32) if score.dtype == np.float16 else score
        values, counts = np.unique(wide, return_counts=True)
        self._add(*_thin(values, counts, _POINTS))

    def merge(self, other: RankSketch) -> None:
        """Take over what another process saw."""
        for values, counts in zip(other._values, other._counts, strict=True):
            self._add(values, counts)

    def _add(self, values: np.ndarray, counts: np.ndarray) -> None:
        self._values.append(values)
        self._counts.append(counts)
        self._size += values.size
        if self._size > _MOST_POINTS:
            joined = _thin(*self._joined(), _KEPT_POINTS)
            self._values, self._counts = [joined[0]], [joined[1]]
            self._size = joined[0].size

    def _joined(self) -> tuple[np.ndarray, np.ndarray]:
        """Return distinct values, ascending, and the pixels of each."""
        values, places = np.unique(np.concatenate(self._values), return_inverse=True)
        counts = np.bincount(places, np.concatenate(self._counts), values.size)
        return values, counts.astype(np.int64)

    def fit(self) -> HalfMap:
        """Choose the levels.

        Raises:
            DataError: no map was taken in.
        """
        if not self._values:
            msg = "no score map was taken in, so none can be mapped; call `update` first."
            raise DataError(msg)
        halves = usable_halves()
        edges, _ = _thin(*self._joined(), halves.size)
        return HalfMap(edges)


def _thin(values: np.ndarray, counts: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Keep at most `most` values, each the lowest of those that it stands for, by `_share_above`.

    Args:
        values: distinct, ascending.
        counts: pixels of each.
        most: how many to keep.
    """
    if values.size <= most:
        return values, counts
    above = counts[::-1].cumsum()[::-1] - counts
    level = np.floor(_share_above(above, float(counts.sum()), most) * most).astype(np.int64)
    first = np.flatnonzero(np.append(True, level[1:] != level[:-1]))
    return values[first], np.add.reduceat(counts, first)


@dataclass(frozen=True)
class HalfMap:
    """A monotone map of scores to half precision.

    Args:
        edges: `(E,)` ascending, the lowest score of each level, at most 61,439.
    """

    edges: np.ndarray

    def __call__(self, score: np.ndarray) -> np.ndarray:
        """Map scores; what lies outside the fitted range gets the lowest or highest level.

        Args:
            score: `(H, W)` float, in the type that was fitted.

        Returns:
            `(H, W)` float16 in -32752..32752, centred where there are fewer levels.
        """
        halves = usable_halves()
        start = (halves.size - self.edges.size) // 2
        wide = score.astype(np.float32) if score.dtype == np.float16 else score
        levels = np.searchsorted(self.edges, wide.ravel(), side="right") - 1
        return halves[np.maximum(levels, 0) + start].reshape(score.shape)
