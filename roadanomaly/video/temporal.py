"""Scores over time: blend each map with the one before, moved along with the picture."""

from __future__ import annotations

import math
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
        seconds: time constant: of what was seen so long ago a share `1 / e` is left, whatever the
            frame rate and however many frames were dropped; 0 smooths nothing.
        motion: `flow` moves the old mean to where its content is now (DIS optical flow); what
            comes from outside the picture is taken from the new map alone.

    Raises:
        OptionError: a negative time, or an unknown motion.
    """

    def __init__(self, seconds: float = 0.04, motion: Motion = "none") -> None:
        if not seconds >= 0:
            msg = f"--smooth_s must not be negative, as {seconds:g} is; 0 smooths nothing."
            raise OptionError(msg)
        if motion not in MOTIONS:
            msg = f"--motion {motion!r} is unknown; {nearest(motion, MOTIONS)}"
            raise OptionError(msg)
        self.seconds = seconds
        self.motion = motion
        self._time_s = 0.0
        self._mean: np.ndarray | None = None
        self._grey: np.ndarray | None = None
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)

    def __call__(self, score: np.ndarray, image: np.ndarray, time_s: float) -> np.ndarray:
        """Return the mean so far.

        Args:
            score: `(H, W)` float32.
            image: `(H, W, 3)` uint8, the frame that it belongs to.
            time_s: its time.

        Returns:
            `(H, W)` float32.
        """
        if self.seconds == 0:
            return score
        grey = self._small(image) if self.motion == "flow" else None
        old = self._mean
        if old is None or old.shape != score.shape:
            mean = score
        else:
            if grey is not None and self._grey is not None:
                old = self._moved(old, score, grey, self._grey)
            left = math.exp(-max(0.0, time_s - self._time_s) / self.seconds)
            mean = cv2.addWeighted(score, 1 - left, old, left, 0)
        self._mean, self._grey, self._time_s = mean, grey, time_s
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
