"""Reasons why a number from these score maps should not be trusted, found while they pass by."""

from __future__ import annotations

import math

import numpy as np

AP_GAP = 0.003
"""Official and exact AP further apart than this deserve a warning (0.3 points)."""

_FEW_VALUES = 1024
_LARGE_SHARE = 0.001
_PATTERNS = 1 << 16
_ASCENDING = np.concatenate([np.arange(0xFC00, 0x7FFF, -1), np.arange(0x7C01)])
"""Bit patterns of all halves from minus to plus infinity; -0 lies just below 0."""


def doubt_ap(official: float, exact: float) -> str | None:
    """Return a warning where the two average precisions, fractions, lie far apart."""
    gap = abs(official - exact)
    if math.isnan(gap) or gap <= AP_GAP:
        return None
    return (
        f"official AP {100 * official:.2f} and exact AP {100 * exact:.2f} lie {100 * gap:.2f} "
        "points apart: the benchmark bins each frame by itself, which shifts AP where frames "
        "differ in their scores or share their top score. Trust the exact one between methods."
    )


def _value(place: int) -> float:
    return float(_ASCENDING[place].astype(np.uint16).view(np.float16))


class ScoreDoubts:
    """What half precision does to the scores of a data set; its memory stays as it is.

    Counts are taken on all pixels, labelled or not, since a submission holds all of them.
    """

    def __init__(self) -> None:
        self._pixels = 0
        self._overflown = 0
        self._largest = 0.0
        self._top, self._at_top = -1, 0
        self._seen = np.zeros(_ASCENDING.size, bool)

    def update(self, score: np.ndarray) -> None:
        """Look at one map.

        Args:
            score: `(H, W)` float, finite.
        """
        with np.errstate(over="ignore"):
            halves = np.ascontiguousarray(score.astype(np.float16, copy=False))
        counts = np.bincount(halves.view(np.uint16).ravel(), minlength=_PATTERNS)[_ASCENDING]
        present = counts > 0
        overflown = int(counts[0] + counts[-1])
        if overflown:
            self._largest = max(self._largest, float(np.abs(score).max()))
        self._seen |= present
        self._overflown += overflown
        self._pixels += score.size
        highest = int(np.flatnonzero(present)[-1])
        self._add_top(highest, int(counts[highest]))

    def _add_top(self, top: int, count: int) -> None:
        if top > self._top:
            self._top, self._at_top = top, 0
        if top == self._top:
            self._at_top += count

    def merge(self, other: ScoreDoubts) -> None:
        """Take over what another process saw."""
        self._seen |= other._seen
        self._overflown += other._overflown
        self._pixels += other._pixels
        self._largest = max(self._largest, other._largest)
        self._add_top(other._top, other._at_top)

    def as_arrays(self) -> dict[str, np.ndarray]:
        """Return what was seen as arrays, to be kept in a file."""
        numbers = (self._pixels, self._overflown, self._largest, self._top, self._at_top)
        return {"numbers": np.array(numbers, np.float64), "seen": np.packbits(self._seen)}

    @classmethod
    def from_arrays(cls, numbers: np.ndarray, seen: np.ndarray) -> ScoreDoubts:
        """Rebuild from `as_arrays`."""
        found = cls()
        found._pixels, found._overflown = int(numbers[0]), int(numbers[1])
        found._largest = float(numbers[2])
        found._top, found._at_top = int(numbers[3]), int(numbers[4])
        found._seen = np.unpackbits(seen, count=_ASCENDING.size).astype(bool)
        return found

    def warnings(self) -> tuple[str, ...]:
        """Return the doubts about the maps seen so far, each a sentence with its numbers."""
        if not self._pixels:
            return ()
        found = []
        if self._overflown:
            found.append(
                f"half precision overflows: {self._overflown} of {self._pixels} scores become "
                f"infinite (largest {self._largest:g}; float16 ends at 65504). Official numbers "
                "suffer; map the scores first, as `export submission` does."
            )
        share = self._at_top / self._pixels
        if share > _LARGE_SHARE:
            found.append(
                f"scores saturate at the top: {100 * share:.2f} % of all pixels share the largest "
                f"score {_value(self._top):g}, so nothing ranks them, and a threshold there finds "
                "no component (the benchmark takes scores above it). Save scores before a sigmoid, "
                "softmax or clip."
            )
        distinct = int(self._seen.sum())
        if distinct < _FEW_VALUES:
            found.append(
                f"half precision tells only {distinct} scores apart in all frames together; "
                "ties make official AP depend on the order of frames. Save floats, not 8 bits, "
                "and map tiny or huge scores first, as `export submission` does."
            )
        return tuple(found)
