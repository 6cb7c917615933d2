"""A set made of another one: the same frames, changed or picked."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from roadanomaly.data.base import FrameSet
from roadanomaly.data.transforms import Resize
from roadanomaly.types import Frame


class Derived(FrameSet):
    """Stands for another set in everything that a subclass does not change.

    Args:
        frames: the other set.
    """

    source = "another set"
    licence = "the other set's"

    def __init__(self, frames: FrameSet) -> None:
        self.frames = frames
        self.classes = frames.classes

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, index: int) -> Frame:
        return self.frames[index]

    @property
    def whole(self) -> int:
        """Ask the other set."""
        return self.frames.whole

    def frame_ids(self) -> list[str]:
        """Return the other set's ids."""
        return self.frames.frame_ids()

    def own_ids(self) -> list[str]:
        """Return those that the other set's frames have where they come from."""
        return self.frames.own_ids()

    def set_ids(self) -> Collection[str]:
        """Return those of all its splits."""
        return self.frames.set_ids()

    def files_of(self, frame_id: str) -> list[Path]:
        """Return those that the other set reads the frame from."""
        return self.frames.files_of(frame_id)

    def hidden(self, frame_id: str) -> str | None:
        """Ask the other set."""
        return self.frames.hidden(frame_id)

    def record(self) -> dict[str, Any]:
        """Return the other set's record."""
        return self.frames.record()


class Resized(Derived):
    """Frames brought to one size.

    Args:
        frames: of any sizes.
        size: height and width.
    """

    def __init__(self, frames: FrameSet, size: tuple[int, int]) -> None:
        super().__init__(frames)
        self.resize = Resize(*size)

    def __getitem__(self, index: int) -> Frame:
        return self.resize(self.frames[index], np.random.default_rng(0))

    def record(self) -> dict[str, Any]:
        """Return the other set's record, with the size."""
        return {**self.frames.record(), "size": [self.resize.height, self.resize.width]}
