"""Frames that a file should hold and does not: gaps in its time stamps, an end that is cut."""

from __future__ import annotations

SLACK = 1.5
"""By which factor the way to the next frame may differ from what is announced."""

STEADY = 0.8
"""Share of frames that must last as long as announced; below it, gaps prove nothing."""


class Gaps:
    """Counts the frames that are missing, by the times of those that came.

    A frame is missing where the next one comes later than the one before was announced to last. In
    a video whose rate varies without saying so, gaps are ordinary, and only its length counts.

    Args:
        interval: nominal seconds between frames, for frames that do not say how long they last.
        whole: whether the first frame should come at 0, and not at any later time.
    """

    def __init__(self, interval: float, *, whole: bool = True) -> None:
        self.interval = interval
        self._whole = whole
        self._steps = 0
        self._steady = 0
        self._missing = 0
        self._longest = 0.0
        self._first = self._last = 0.0
        self._lasts: float | None = None

    def add(self, stamp: float, lasts: float | None) -> None:
        """Take a frame: its time, and how long it is announced to last, or None; seconds."""
        if self._lasts is not None:
            self._step(stamp - self._last, self._lasts)
        else:
            self._first = stamp
            self._missing = max(0, round(stamp / self.interval)) if self._whole else 0
        self._last, self._lasts = stamp, lasts or self.interval

    def _step(self, step: float, announced: float) -> None:
        self._steps += 1
        self._longest = max(self._longest, step)
        if step > SLACK * announced:
            self._missing += round(step / announced) - 1
        elif step * SLACK > announced:
            self._steady += 1

    def missing(self, length: float | None, announced: int = 0) -> int:
        """Return how many frames are missing, about.

        Args:
            length: seconds that the file announces, or None.
            announced: number of frames in it by its own word; no more can be missing than did not
                come. 0 for no word.
        """
        if self._lasts is None:
            return 0
        found = self._by_time(self._lasts, length)
        came = self._steps + 1
        return min(found, announced - came) if self._whole and announced >= came else found

    def _by_time(self, lasts: float, length: float | None) -> int:
        tail = 0.0 if length is None else length - self._last - lasts
        if self._steady >= STEADY * self._steps:
            return self._missing + max(0, round(tail / self.interval))
        usual = (self._last - self._first) / self._steps
        return round(tail / usual) if usual > 0 and tail > self._longest else 0
