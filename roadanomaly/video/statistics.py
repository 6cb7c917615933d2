"""How fast and how late the pipeline is, in memory that does not grow with the video."""

from __future__ import annotations

import time

import numpy as np

STEP_MS = 0.1
LONGEST_MS = 20_000.0


class Latencies:
    """Percentiles of durations, exact to a tenth of a millisecond up to 20 s."""

    def __init__(self) -> None:
        self._counts = np.zeros(int(LONGEST_MS / STEP_MS) + 1, np.int64)

    def add(self, seconds: float) -> None:
        """Count one duration."""
        self._counts[min(int(1000 * seconds / STEP_MS), len(self._counts) - 1)] += 1

    def percentile(self, percent: float) -> float | None:
        """Return the duration, milliseconds, that `percent` of all do not exceed."""
        total = int(self._counts.sum())
        if not total:
            return None
        place = int(np.searchsorted(np.cumsum(self._counts), np.ceil(total * percent / 100)))
        return round((place + 1) * STEP_MS, 1)

    def summary(self) -> dict[str, float | None]:
        """Return the 50th, 95th and 99th percentile, milliseconds."""
        return {f"p{percent}": self.percentile(percent) for percent in (50, 95, 99)}


class Meter:
    """Counts results and how late they are."""

    def __init__(self) -> None:
        self.frames = 0
        self.latency = Latencies()
        self.model = Latencies()
        self.first: float | None = None
        self.last = 0.0

    def add(self, captured: float, model_s: float) -> None:
        """Count one result.

        Args:
            captured: `time.perf_counter()` when the frame was decoded.
            model_s: seconds in the model.
        """
        now = time.perf_counter()
        self.first = now if self.first is None else self.first
        self.last = now
        self.frames += 1
        self.latency.add(now - captured)
        self.model.add(model_s)

    @property
    def fps(self) -> float:
        """Results a second, between the first and the last."""
        if self.first is None or self.last <= self.first:
            return 0.0
        return (self.frames - 1) / (self.last - self.first)
