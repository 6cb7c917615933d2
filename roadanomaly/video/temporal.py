"""Scores over time: blend each map with the one before, moved along with the picture."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np

from roadanomaly.errors import OptionError, nearest

Motion = Literal["none", "flow"]
MOTIONS = ("none", "flow")
FLOW_WIDTH = 256
"""Columns of the pictures that motion is measured on."""


class Smoother:
    """Exponential mean of score maps, optionally along the optical flow.

    Args:
        share: of the new map in the mean, in (0, 1]; 1 smooths nothing.
        motion: `flow` moves the old mean to where its content is now (DIS optical flow); what
            comes from outside the picture is taken from the new map alone.

    Raises:
        OptionError: a share outside its range, or an unknown motion.
    """

    def __init__(self, share: float = 0.6, motion: Motion = "none") -> None:
        if not 0 < share <= 1:
            msg = f"--smooth must lie above 0 and not above 1, not {share:g}; 1 smooths nothing."
            raise OptionError(msg)
        if motion not in MOTIONS:
            msg = f"--motion {motion!r} is unknown; {nearest(motion, MOTIONS)}"
            raise OptionError(msg)
        self.share = share
        self.motion = motion
        self._mean: np.ndarray | None = None
        self._grey: np.ndarray | None = None
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)

    def __call__(self, score: np.ndarray, image: np.ndarray) -> np.ndarray:
        """Return the mean so far.

        Args:
            score: `(H, W)` float32.
            image: `(H, W, 3)` uint8, the frame that it belongs to.

        Returns:
            `(H, W)` float32.
        """
        if self.share == 1:
            return score
        grey = self._small(image) if self.motion == "flow" else None
        old = self._mean
        if old is None or old.shape != score.shape:
            mean = score
        else:
            if grey is not None and self._grey is not None:
                old = self._moved(old, score, grey, self._grey)
            mean = cv2.addWeighted(score, self.share, old, 1 - self.share, 0)
        self._mean, self._grey = mean, grey
        return mean

    def _small(self, image: np.ndarray) -> np.ndarray:
        height, width = image.shape[:2]
        columns = min(width, FLOW_WIDTH)
        size = (columns, max(16, round(height * columns / width)))
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        return cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)

    def _moved(
        self, old: np.ndarray, score: np.ndarray, grey: np.ndarray, before: np.ndarray
    ) -> np.ndarray:
        """Bring the old mean to the new frame: each pixel is read from where it came from."""
        still = np.zeros((*grey.shape, 2), np.float32)  # where the search begins
        flow = self._flow.calc(grey, before, still)
        height, width = score.shape
        scale = np.array([width / grey.shape[1], height / grey.shape[0]], np.float32)
        flow = cv2.resize(flow, (width, height), interpolation=cv2.INTER_LINEAR) * scale
        columns = np.arange(width, dtype=np.float32)[None] + flow[..., 0]
        rows = np.arange(height, dtype=np.float32)[:, None] + flow[..., 1]
        outside = (columns < 0) | (columns > width - 1) | (rows < 0) | (rows > height - 1)
        moved = cv2.remap(old, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        moved[outside] = score[outside]
        return moved
