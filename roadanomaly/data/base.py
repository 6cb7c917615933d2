"""What every data set is: a sequence of frames with named classes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor

from roadanomaly.data.class_names import difference
from roadanomaly.errors import DataError
from roadanomaly.types import Frame


class FrameSet(ABC):
    """Frames in a fixed order (by id), read when asked for.

    Class facts:
        source: where the set comes from, one line.
        licence: under what terms.
        published: frames of each split, by its name; empty where nobody published splits, and
            where a card says it. Of one set the options may leave none: a part of a split.

    Attributes:
        classes: names of the classes that the labels index; empty where frames carry none.
    """

    source: ClassVar[str]
    licence: ClassVar[str]
    published: ClassVar[Mapping[str, int]] = {}
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

    @property
    def whole(self) -> int:
        """Count the frames of the set that these were picked from; of most sets these are all."""
        return len(self)

    @property
    def title(self) -> str:
        """Name and split, in words."""
        record = self.record()
        return f"{record['name']} {record.get('split', '')}".strip()

    @property
    def told(self) -> str:
        """The title, and of picked frames how many of how many they are."""
        part = "" if len(self) == self.whole else f", {len(self)} of {self.whole} frames"
        return self.title + part

    def instances(self, frame_id: str) -> Tensor | None:
        """Return a frame's true objects, `(H, W)` integers, 0 for none, or None where unknown."""
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

    def files_of(self, frame_id: str) -> list[Path]:
        """Return the files that a frame is read from: image, label, and what else it depends on.

        Every set that reads files says them, so that a stopped evaluation notices those that were
        written again; frames that are drawn have none.
        """
        return []

    def require_classes(self, known: Sequence[str], by: str) -> None:
        """Refuse to be read by what knows other classes: a label is a number in the set's own.

        Args:
            known: the classes that labels are to index.
            by: what knows them, in words: `"the segmenter"`.

        Raises:
            DataError: names the first class that differs.
        """
        if differs := difference(f"the data set {self.title}", self.classes, by, known):
            msg = (
                f"{differs}. Labels are numbers of classes, which must be the same in the same "
                "order: give data with labels of these classes (several sets have an option "
                "`classes`), or a network of the data's."
            )
            raise DataError(msg)

    def __iter__(self) -> Iterator[Frame]:
        for index in range(len(self)):
            yield self[index]
