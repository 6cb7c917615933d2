"""The drivable ground: which classes it is, and where it lies in a labelled frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from roadanomaly.data.base import FrameSet
from roadanomaly.data.derived import Derived
from roadanomaly.errors import DataError
from roadanomaly.types import IGNORE, NEGATIVE, Frame

NAMES = ("road", "sidewalk", "pavement")
"""Class names that are drivable ground, in any case; `pavement` is CamVid's sidewalk."""

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


class OnGround(Derived):
    """Frames whose truth holds on the drivable ground alone; elsewhere it is ignored.

    The class labels stay as they are.

    Args:
        frames: with class labels, some of them road or sidewalk.

    Raises:
        DataError: the set has no such classes.
    """

    def __init__(self, frames: FrameSet) -> None:
        super().__init__(frames)
        self.ground = ground_classes(frames.classes)
        if not self.ground:
            msg = (
                f"the road region of {frames.record()['name']} is unknown: its frames carry no "
                f"class named {', '.join(NAMES[:-1])} or {NAMES[-1]}. Score it on its own region."
            )
            raise DataError(msg)

    def __getitem__(self, index: int) -> Frame:
        frame = self.frames[index]
        truth = frame.truth
        if frame.label is None or truth is None:
            return frame
        return replace(frame, anomaly=self._masked(truth, frame.label))

    def record(self) -> dict[str, Any]:
        """Return the set's record, with the region and its classes."""
        names = [self.classes[index] for index in self.ground]
        return {**self.frames.record(), "region": "road", "ground": names}

    def _masked(self, truth: Tensor, label: Tensor) -> Tensor:
        region = ground_region(label.numpy(), self.ground)
        return truth.masked_fill(~torch.from_numpy(region), IGNORE)
