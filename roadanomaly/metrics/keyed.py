"""Per-frame results kept by frame id, so that any split over processes merges to the same whole."""

from __future__ import annotations

from typing import Generic, TypeVar

from roadanomaly.errors import DataError

T = TypeVar("T")

FrameId = str | int
"""Name of a frame, unique within its data set; numbers come before words in the order of ids."""


class ByFrame(Generic[T]):
    """One value a frame, each frame once."""

    def __init__(self) -> None:
        self._values: dict[FrameId, T] = {}

    def __len__(self) -> int:
        return len(self._values)

    def add(self, frame_id: FrameId, value: T) -> None:
        """Keep the value of a frame.

        Raises:
            DataError: the frame was added before.
        """
        if frame_id in self._values:
            msg = (
                f"frame {frame_id!r} was counted twice; ids must be unique, "
                "and each frame must go to one process only."
            )
            raise DataError(msg)
        self._values[frame_id] = value

    def merge(self, other: ByFrame[T]) -> None:
        """Take over the frames of `other`.

        Raises:
            DataError: both hold the same frame.
        """
        for frame_id, value in other._values.items():
            self.add(frame_id, value)

    def in_order(self) -> list[T]:
        """Return the values, sorted by frame id."""
        ids = sorted(self._values, key=lambda frame_id: (isinstance(frame_id, str), frame_id))
        return [self._values[frame_id] for frame_id in ids]
