"""What every data set is: a sequence of frames with named classes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator
from typing import Any, ClassVar

from roadanomaly.types import Frame


class FrameSet(ABC):
    """Frames in a fixed order (by id), read when asked for.

    Class facts:
        source: where the set comes from, one line.
        licence: under what terms.

    Attributes:
        classes: names of the classes that the labels index; empty where frames carry none.
    """

    source: ClassVar[str]
    licence: ClassVar[str]
    classes: tuple[str, ...] = ()

    @abstractmethod
    def __len__(self) -> int:
        """Count the frames."""

    @abstractmethod
    def __getitem__(self, index: int) -> Frame:
        """Read one frame.

        Raises:
            DataError: the file is missing, truncated, of another size than its label, or holds
                ids that the set does not define.
        """

    @abstractmethod
    def record(self) -> dict[str, Any]:
        """Return name, split, count and root's last folder, for the run's record."""

    def hidden(self, frame_id: str) -> str | None:
        """Say why a frame has no truth here, or None where nothing is kept back."""
        return None

    def frame_ids(self) -> list[str]:
        """Return the ids of all frames, in order; a set that lists its `ids` reads none for it."""
        listed = getattr(self, "ids", None)
        return [frame.id for frame in self] if listed is None else list(listed)

    def own_ids(self) -> list[str]:
        """Return each frame's id in the set that it comes from, in order; repeats share one."""
        return self.frame_ids()

    def set_ids(self) -> Collection[str]:
        """Return the ids of the frames of all splits that are on the disk."""
        return self.frame_ids()

    def __iter__(self) -> Iterator[Frame]:
        for index in range(len(self)):
            yield self[index]
