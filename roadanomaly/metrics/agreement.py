"""How far two scores of the same pixels lie apart: their difference, and their ranks."""

from __future__ import annotations

import numpy as np

PER_FRAME = 20_000
"""Pixels of a frame that the rank correlation is taken from."""


class Agreement:
    """Compares two score maps a frame.

    Attributes:
        frames: how many were compared.
        pixels: of all frames.
        largest: largest absolute difference.
    """

    def __init__(self) -> None:
        self.frames = self.pixels = 0
        self.largest = self._total = 0.0
        self._rng = np.random.default_rng(0)
        self._drawn: list[np.ndarray] = []
        self._moments: list[tuple[float, float, float]] = []

    def update(self, one: np.ndarray, other: np.ndarray) -> None:
        """Compare a frame, `(H, W)` float each."""
        difference = np.abs(one.astype(np.float64) - other)
        self.largest = max(self.largest, float(difference.max()))
        self._total += float(difference.sum())
        self.pixels += difference.size
        self.frames += 1
        first = one.astype(np.float64)
        self._moments.append((first.size, float(first.mean()), float(first.var())))
        place = self._rng.integers(0, difference.size, PER_FRAME)
        self._drawn.append(np.stack([one.ravel()[place], other.ravel()[place]]))

    @property
    def mean(self) -> float:
        """Mean absolute difference."""
        return self._total / self.pixels

    @property
    def spread(self) -> float:
        """Standard deviation of the first scores, over the pixels of all frames."""
        pixels, means, variances = np.array(self._moments).T
        share = pixels / pixels.sum()
        within, between = share @ variances, share @ np.square(means - share @ means)
        return float(np.sqrt(within + between))

    def rank_correlation(self) -> float | None:
        """Return Spearman's, over pixels drawn from all frames; None where one side is constant."""
        one, other = np.concatenate(self._drawn, axis=1)
        if min(np.ptp(one), np.ptp(other)) == 0:
            return None
        from scipy.stats import spearmanr  # takes longer to import than a picture to judge

        return float(spearmanr(one, other).statistic)
