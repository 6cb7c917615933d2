"""What the street sets without anomalies share: card, Cityscapes' classes, void as one wants it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np

from roadanomaly.data.benchmark import BenchmarkSet, Files
from roadanomaly.data.class_maps import remap, with_void
from roadanomaly.data.class_names import CITYSCAPES
from roadanomaly.data.images import check_same_size, read_label
from roadanomaly.types import Frame

HIDDEN = "test_"
"""How the id of a frame begins whose labels the publishers keep."""


class Coding(NamedTuple):
    """What the ids in a label file mean.

    Args:
        table: 256 int16, id to train id or `IGNORE`, as `class_maps.table` makes it.
        void: ids that show something without a train id; the other ignored ones show no street.
    """

    table: np.ndarray
    void: tuple[int, ...]


class LabelledSet(BenchmarkSet):
    """Frames of known classes alone, as Cityscapes train ids: to train on, to measure mIoU on.

    A part of the set may be on disk: `record` says how many of how many. Frames whose labels are
    kept by the publishers have ids that begin with `test_`, and carry no label.

    Args:
        split: one of the card's splits; None takes the card's default.
        root: folder that holds the set's top folder or is it; None looks where `find_top` says.
        void: what the ids that no train id has become: `ignore`, or `label`, the label `VOID`, for
            methods that learn from void.

    Raises:
        DataError: the layout or the split is absent, or a frame lacks its label.
        OptionError: no such split, or `void` is no such word.
    """

    classes = CITYSCAPES
    words: ClassVar[Mapping[str, tuple[str, ...]]] = {"void": ("ignore", "label")}
    void: str = "ignore"

    def __init__(
        self,
        split: str | None = None,
        root: str | Path | None = None,
        void: Literal["ignore", "label"] = "ignore",
    ) -> None:
        self.void = void
        super().__init__(split, root)

    @abstractmethod
    def coding(self, label: Path) -> Coding:
        """Return what the ids in one label file mean."""

    @classmethod
    def members(cls, split: str, found: Mapping[str, Files]) -> dict[str, Files]:
        """Take the frames of the part of that name."""
        return {key: one for key, one in found.items() if one.image and one.part == split}

    @classmethod
    def is_public(cls, frame_id: str) -> bool:
        """Tell whether the labels of a frame can be downloaded."""
        return not frame_id.startswith(HIDDEN)

    def __getitem__(self, index: int) -> Frame:
        name = self.ids[index]
        files = self.files[name]
        image = self.picture(files)
        if files.label is None or files.image is None:
            return Frame(name, image)
        stored = read_label(files.label)
        check_same_size(image, stored, files.image, files.label)
        table, void = self.coding(files.label)
        to = with_void(table, void) if self.void == "label" else table
        return Frame(name, image, remap(stored, to, str(files.label)))

    def record(self) -> dict[str, Any]:
        """Return what a benchmark's set does, and `void`."""
        return {**super().record(), "void": self.void}


def hide(found: Mapping[str, Files]) -> dict[str, Files]:
    """Put `HIDDEN` before the ids of frames whose labels are kept back."""
    return {HIDDEN + key: one for key, one in found.items()}
