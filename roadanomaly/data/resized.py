"""The frames of a set, each brought to one size."""

from __future__ import annotations

from typing import Any

import numpy as np

from roadanomaly.data.base import FrameSet
from roadanomaly.data.transforms import Resize
from roadanomaly.types import Frame


class Resized(FrameSet):
    """Another set at another size.

    Args:
        frames: the set.
        size: height and width that every frame is brought to.
    """

    source = "another set"
    licence = "the other set's"

    def __init__(self, frames: FrameSet, size: tuple[int, int]) -> None:
        self.frames = frames
        self.classes = frames.classes
        self.resize = Resize(*size)

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, index: int) -> Frame:
        return self.resize(self.frames[index], np.random.default_rng(0))

    def frame_ids(self) -> list[str]:
        """Return the ids of the set."""
        return self.frames.frame_ids()

    def hidden(self, frame_id: str) -> str | None:
        """Ask the set."""
        return self.frames.hidden(frame_id)

    def record(self) -> dict[str, Any]:
        """Return the set's record, with the size."""
        return {**self.frames.record(), "size": [self.resize.height, self.resize.width]}
