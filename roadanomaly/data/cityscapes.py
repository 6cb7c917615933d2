"""Cityscapes: 19 evaluated classes in German and neighbouring cities, filmed from a car."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from roadanomaly.data.base import FrameSet
from roadanomaly.data.class_maps import (
    CITYSCAPES_LABEL_IDS,
    CITYSCAPES_TRAIN_IDS,
    CITYSCAPES_VOID,
    remap,
    with_void,
)
from roadanomaly.data.class_names import CITYSCAPES
from roadanomaly.data.images import check_same_size, list_images, read_image, read_label
from roadanomaly.data.roots import check_pairs, find_folder, find_root
from roadanomaly.errors import OptionError, nearest
from roadanomaly.types import IGNORE, Frame

_IMAGE = "_leftImg8bit.png"
_LABELS = {"_gtFine_labelTrainIds.png": CITYSCAPES_TRAIN_IDS}
_LABELS["_gtFine_labelIds.png"] = CITYSCAPES_LABEL_IDS


class Cityscapes(FrameSet):
    """Cityscapes with fine labels, 2048×1024, as the official archives unpack.

    Images are `leftImg8bit/<split>/<city>/*_leftImg8bit.png`. Labels are in `gtFine/`, beside each
    other: `*_gtFine_labelTrainIds.png` is taken where present, else `*_gtFine_labelIds.png`.

    Args:
        split: `train`, `val` or `test` (whose public labels are all ignore).
        root: folder that holds `leftImg8bit/` and `gtFine/`; None looks where `find_root` says.
        city: only this city; None takes all.
        void: what the ids that no train id has become: `ignore`, or `label`, the label `VOID`, but
            for what is no picture of the street: borders, the own car, what is out of the frame.

    Raises:
        DataError: the root, split or city is absent, or an image and a label lack each other.
        OptionError: `void` is no such word.
    """

    source = "Cityscapes (Cordts et al., CVPR 2016), fine labels, 2975/500/1525 frames of 2048×1024"
    licence = "Cityscapes terms: research and teaching, no passing on; registration needed"
    published: ClassVar[Mapping[str, int]] = {"train": 2975, "val": 500, "test": 1525}
    classes = CITYSCAPES

    def __init__(
        self,
        split: str = "train",
        root: str | Path | None = None,
        city: str | None = None,
        void: Literal["ignore", "label"] = "ignore",
    ) -> None:
        if void not in ("ignore", "label"):
            msg = f"`void` of cityscapes is {void!r}; {nearest(void, ('ignore', 'label'))}"
            raise OptionError(msg)
        self.split, self.city, self.void = split, city, void
        if city is not None:
            self.published = {}  # type: ignore[misc]
        self.root = find_root("cityscapes", root)
        within = (split,) if city is None else (split, city)
        image_folder = find_folder(self.root, "leftImg8bit", *within)
        label_folder = find_folder(self.root, "gtFine", *within)
        self.images = _by_stem(image_folder, _IMAGE)
        found = {suffix: _by_stem(label_folder, suffix) for suffix in _LABELS}
        self.labels = {
            name: (path, _table(suffix, void))
            for suffix in reversed(_LABELS)
            for name, path in found[suffix].items()
        }
        check_pairs(self.images, self.labels, image_folder, label_folder)
        self.ids = sorted(self.images)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> Frame:
        name = self.ids[index]
        path, table = self.labels[name]
        image, label = read_image(self.images[name], upright=False), read_label(path)
        check_same_size(image, label, self.images[name], path)
        return Frame(name, image, remap(label, table, str(path)))

    def files_of(self, frame_id: str) -> list[Path]:
        """Return image and label."""
        return [self.images[frame_id], self.labels[frame_id][0]]

    def record(self) -> dict[str, Any]:
        """Return name, split, city, count and root's last folder."""
        return {
            "name": "cityscapes",
            "split": self.split,
            "city": self.city,
            "void": self.void,
            "count": len(self),
            "root": self.root.absolute().name,
        }


def _table(suffix: str, void: str) -> np.ndarray:
    """Return what ids become; a file of train ids has one number for all that is no class."""
    if void == "ignore":
        return _LABELS[suffix]
    return with_void(_LABELS[suffix], CITYSCAPES_VOID if "labelIds" in suffix else (IGNORE,))


def _by_stem(folder: Path, suffix: str) -> dict[str, Path]:
    found = list_images(folder, recursive=True)
    return {p.name.removesuffix(suffix): p for p in found if p.name.endswith(suffix)}
