"""Where a video jumps to another scene: what a detector kept of the frames before is void there."""

from __future__ import annotations

import cv2
import numpy as np

BINS = 8
"""Of each colour channel, in a thumbnail's histogram."""

THUMBNAIL = (64, 36)

ALIKE = 0.5
"""Share of two histograms that must overlap; frames of one drive overlap by nine tenths."""


class CutFinder:
    """Compares each frame's colours with those of the frame before."""

    def __init__(self) -> None:
        self._last: np.ndarray | None = None

    def __call__(self, image: np.ndarray) -> bool:
        """Take the next frame, and return whether it begins another scene; the first one does.

        Args:
            image: `(H, W, 3)` uint8, of any size.
        """
        small = cv2.resize(image, THUMBNAIL, interpolation=cv2.INTER_AREA)
        edges = [0, 256] * 3
        found = cv2.calcHist([small], [0, 1, 2], None, [BINS] * 3, edges).ravel()
        found = found / found.sum()
        before, self._last = self._last, found
        return before is None or float(np.minimum(before, found).sum()) < ALIKE
