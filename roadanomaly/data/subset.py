"""Some frames of a set: those of given numbers, or a few, evenly spaced."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from roadanomaly.data.base import FrameSet
from roadanomaly.data.derived import Derived
from roadanomaly.types import Frame


class Picked(Derived):
    """Frames of another set by their numbers.

    Args:
        frames: the whole set.
        numbers: of the frames to keep, in their order here.
    """

    source = "a part of another set"

    def __init__(self, frames: FrameSet, numbers: Sequence[int]) -> None:
        super().__init__(frames)
        self.numbers = list(numbers)

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: int) -> Frame:
        return self.frames[self.numbers[index]]

    def frame_ids(self) -> list[str]:
        """Return the ids of the kept frames."""
        ids = self.frames.frame_ids()
        return [ids[number] for number in self.numbers]

    def own_ids(self) -> list[str]:
        """Return those that the kept frames have where they come from."""
        ids = self.frames.own_ids()
        return [ids[number] for number in self.numbers]

    def record(self) -> dict[str, Any]:
        """Return the whole set's record, with the number of frames that are used."""
        return {**self.frames.record(), "used": len(self)}

    def instances(self, frame_id: str) -> Tensor | None:
        """Ask the whole set: the kept frames are as they are there."""
        return self.frames.instances(frame_id)


class Subset(Picked):
    """Every so-manieth frame of another set, the first and the last among them, or the others.

    Args:
        frames: the whole set.
        count: how many to keep; 0, or more than there are, keeps all.
        others: keep those that would go, in place of those that would stay.
    """

    def __init__(self, frames: FrameSet, count: int, *, others: bool = False) -> None:
        kept = min(count, len(frames)) if count else len(frames)
        numbers = np.linspace(0, len(frames) - 1, kept).round().astype(int).tolist()
        if others:
            numbers = sorted(set(range(len(frames))) - set(numbers))
        super().__init__(frames, numbers)
