"""Where a crop lies and how its pixels are resampled, on arrays: the sums behind the transforms."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from roadanomaly.types import IGNORE


@dataclass(frozen=True)
class Window:
    """One axis of a crop: the pixels `start..stop` become `length` pixels after `before` added."""

    start: int
    stop: int
    length: int
    before: int

    def padding(self, whole: int) -> tuple[int, int]:
        """Return how many pixels are added before and after to make `whole`."""
        return self.before, whole - self.before - self.length

    def edges(self, whole: int) -> tuple[float, float]:
        """Return where the first of `whole` pixels begins and the last ends, in those of it."""
        pixel = (self.stop - self.start) / self.length
        first = self.start - self.before * pixel
        return first, first + whole * pixel


def draw_window(
    side: int, scaled: int, wanted: int, rng: np.random.Generator, shown: int | None = None
) -> Window:
    """Draw where a window of `wanted` pixels lies in an axis of `side` pixels seen as `scaled`.

    Args:
        side: pixels of the axis.
        scaled: as many as it is scaled to.
        wanted: pixels of the window.
        rng: all chance.
        shown: pixel of the axis that the window must show; None shows any.
    """
    free = scaled - wanted
    first, last = 0, abs(free)
    if shown is not None and free > 0:
        place = min(scaled - 1, int((shown + 0.5) * scaled / side))
        first, last = max(0, place - wanted + 1), min(free, place)
    offset = int(rng.integers(first, last + 1))
    if free <= 0:
        return Window(0, side, scaled, offset)
    length = min(side, max(1, round(wanted * side / scaled)))
    start = min(side - length, round(offset * side / scaled))
    if shown is not None:
        start = min(max(start, shown - length + 1), shown)
    return Window(start, start + length, wanted, 0)


def scale_mask(array: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resample `(H, W)` ids to `size` by the nearest pixel centre; always a copy.

    OpenCV's plain `INTER_NEAREST` would lie up to half a pixel beside the image.
    """
    if array.shape == size:
        return array.copy()
    return cv2.resize(array, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT)


def pad(array: np.ndarray, border: tuple[int, int, int, int], how: int) -> np.ndarray:
    """Add `(top, bottom, left, right)` pixels by an OpenCV border kind; a constant is `IGNORE`."""
    return cv2.copyMakeBorder(array, *border, how, value=IGNORE) if any(border) else array
