"""The drivable ground: which classes it is, and where it lies in a labelled frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import torch

from roadanomaly.data.base import FrameSet
from roadanomaly.data.derived import Derived
from roadanomaly.errors import DataError
from roadanomaly.types import IGNORE, NEGATIVE, Frame

NAMES = ("road", "sidewalk", "pavement")
"""Class names that are drivable ground, in any case; `pavement` is CamVid's sidewalk."""

ON_GROUND = ", road region"
"""What is said behind the title of a set that is judged there alone."""

TOUCH = 5
"""Pixels between an anomaly and the ground that still count as touching: the soft, ignored edge of
a pasted one, or a labelled one's ignored rim."""


def ground_classes(classes: Sequence[str]) -> tuple[int, ...]:
    """Return the indices of the classes that are drivable ground.

    >>> ground_classes(("sky", "Road", "sidewalk"))
    (1, 2)
    """
    return tuple(place for place, name in enumerate(classes) if name.lower() in NAMES)


def ground_region(label: np.ndarray, ground: Sequence[int]) -> np.ndarray:
    """Say which pixels belong to the ground: its classes, and whole anomalies that touch it.

    Args:
        label: `(H, W)` uint8: class index, `NEGATIVE` or `IGNORE`.
        ground: indices of the ground's classes.

    Returns:
        `(H, W)` bool.
    """
    surface = np.isin(label, ground)
    anomalous = (label == NEGATIVE).astype(np.uint8)
    if not anomalous.any():
        return surface
    window = np.ones((2 * TOUCH + 1, 2 * TOUCH + 1), np.uint8)
    near = cv2.dilate(surface.astype(np.uint8), window).astype(bool)
    _, numbers = cv2.connectedComponents(anomalous, connectivity=8)
    touching = np.unique(numbers[near & (numbers > 0)])
    return surface | np.isin(numbers, touching)


def on_ground(frame: Frame, ground: Sequence[int]) -> Frame:
    """Return a labelled frame whose truth is ignored outside the ground; its classes stay."""
    truth = frame.truth
    if frame.label is None or truth is None:
        return frame
    outside = ~torch.from_numpy(ground_region(frame.label.numpy(), ground))
    return replace(frame, anomaly=truth.masked_fill(outside, IGNORE))


def require_ground(frames: FrameSet) -> tuple[int, ...]:
    """Return the indices of a set's classes that are drivable ground.

    Raises:
        DataError: it has no such classes.
    """
    found = ground_classes(frames.classes)
    if not found:
        msg = (
            f"the road region of {frames.record()['name']} is unknown: its frames carry no class "
            f"named {', '.join(NAMES[:-1])} or {NAMES[-1]}. Score it on its own region."
        )
        raise DataError(msg)
    return found


class OnGround(Derived):
    """Frames whose truth holds on the drivable ground alone; elsewhere it is ignored.

    Args:
        frames: with class labels, some of them of the ground.

    Raises:
        DataError: the set has no such classes.
    """

    def __init__(self, frames: FrameSet) -> None:
        super().__init__(frames)
        self.ground = require_ground(frames)

    def __getitem__(self, index: int) -> Frame:
        return on_ground(self.frames[index], self.ground)

    def record(self) -> dict[str, Any]:
        """Return the set's record, with the region."""
        return {**self.frames.record(), "region": "road"}
