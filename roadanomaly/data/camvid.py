"""CamVid: 11 classes on English roads, filmed from a car."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from roadanomaly.data.base import FrameSet
from roadanomaly.data.class_maps import CAMVID_IDS, CAMVID_TO_CITYSCAPES, CAMVID_VOID, remap
from roadanomaly.data.class_names import CAMVID, CITYSCAPES
from roadanomaly.data.images import check_same_size, list_images, read_image, read_label
from roadanomaly.data.roots import check_pairs, find_folder, find_root
from roadanomaly.errors import OptionError, nearest
from roadanomaly.types import IGNORE, NEGATIVE, VOID, Frame

_CLASSES = {"camvid": (CAMVID, CAMVID_IDS), "cityscapes": (CITYSCAPES, CAMVID_TO_CITYSCAPES)}
_VOID = {"ignore": IGNORE, "label": VOID, "negative": NEGATIVE}


class CamVid(FrameSet):
    """CamVid with SegNet's 11 classes, 480×360: `images/<split>/*`, `labels/<split>/*.png`.

    Args:
        split: folder of the split: `train`, `val` or `test`.
        root: folder that holds `images/` and `labels/`; None looks where `find_root` says.
        classes: `cityscapes` gives labels as Cityscapes train ids (11 of the 19 occur), `camvid`
            the 11 classes of the set.
        void: what void pixels become: `ignore`; `label`, the label `VOID`, for methods that learn
            from void; or `negative`.

    Raises:
        DataError: the root or split is absent, or an image and a label lack each other.
        OptionError: `classes` or `void` is no such word.
    """

    source = "CamVid (Brostow et al., 2009), SegNet's 367/101/233 frames of 480×360 and 11 classes"
    licence = "CC BY-NC 4.0"
    published: ClassVar[Mapping[str, int]] = {"train": 367, "val": 101, "test": 233}

    def __init__(
        self,
        split: str = "train",
        root: str | Path | None = None,
        classes: Literal["cityscapes", "camvid"] = "cityscapes",
        void: Literal["ignore", "label", "negative"] = "ignore",
    ) -> None:
        for option, value, known in (("classes", classes, _CLASSES), ("void", void, _VOID)):
            if value not in known:
                msg = f"`{option}` of camvid is {value!r}; {nearest(value, known)}"
                raise OptionError(msg)
        self.split, self.mapped_to, self.void = split, classes, void
        self.root = find_root("camvid", root)
        self.classes, table = _CLASSES[classes]
        self.table: np.ndarray = table.copy()
        self.table[CAMVID_VOID] = _VOID[void]
        image_folder = find_folder(self.root, "images", split)
        label_folder = find_folder(self.root, "labels", split)
        self.images = {path.stem: path for path in list_images(image_folder)}
        self.labels = {path.stem: path for path in list_images(label_folder)}
        check_pairs(self.images, self.labels, image_folder, label_folder)
        self.ids = sorted(self.images)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> Frame:
        name = self.ids[index]
        image, label = read_image(self.images[name], upright=False), read_label(self.labels[name])
        check_same_size(image, label, self.images[name], self.labels[name])
        return Frame(name, image, remap(label, self.table, str(self.labels[name])))

    def files_of(self, frame_id: str) -> list[Path]:
        """Return image and label."""
        return [self.images[frame_id], self.labels[frame_id]]

    def record(self) -> dict[str, Any]:
        """Return name, split, count, root's last folder and the two mappings."""
        return {
            "name": "camvid",
            "split": self.split,
            "count": len(self),
            "root": self.root.absolute().name,
            "classes": self.mapped_to,
            "void": self.void,
        }
