"""Cut-outs from YOLO segmentation text: a row `class x y x y ...` in 0..1 for each object."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np

from roadanomaly.data.cutouts.base import (
    CutoutReader,
    Entry,
    fill_polygon,
    read_text,
    refuse_empty,
    unseen,
)
from roadanomaly.data.cutouts.names import COCO
from roadanomaly.data.cutouts.yolo_files import class_names, has_labels, pairs
from roadanomaly.errors import DataError

BEYOND = 0.01
"""How far a coordinate may leave 0..1, as rounding makes it do."""


class YoloCutouts(CutoutReader):
    """`images/**/NAME.jpg` beside `labels/**/NAME.txt`, or `SPLIT/images/` beside `SPLIT/labels/`.

    Where `data.yaml` names images elsewhere (`path`, `train`, `val`, `test`), those are read too.
    Class names come from `names.txt`, one a line, or from `data.yaml`; without both they are the 80
    of COCO. Objects of several parts are one row whose parts a line joins; the even-odd rule fills
    them.
    """

    format: ClassVar[str] = "yolo"

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.names = class_names(root) or COCO
        self._labels: dict[Path, Path] = {}
        for label, image in pairs(root).items():
            if self.usable(image):
                self._labels[image] = label
                self.entries.extend(self._entries(image, label))
        refuse_empty(self, "`labels/**/*.txt` needs rows `class x y x y x y ...`, a polygon each")

    @staticmethod
    def matches(root: Path) -> bool:
        """Say whether the folder has label texts."""
        return has_labels(root)

    def _entries(self, image: Path, label: Path) -> list[Entry]:
        found = []
        for row, line in enumerate(read_text(label).splitlines()):
            if not line.strip():
                continue
            index, points = parse(line, f"{label}:{row + 1}")
            if len(points) < 3:
                self.skip("row without a polygon", label)
                continue
            if points.min() < -BEYOND or points.max() > 1 + BEYOND:
                self.skip("row whose coordinates are not in 0..1", label, f"row {row + 1}")
                continue
            if reason := unseen(points, 1, 1):
                self.skip(f"row whose polygon is {reason}", label, f"row {row + 1}")
                continue
            if not 0 <= index < len(self.names):
                msg = (
                    f"{label}:{row + 1} names class {index}, but {len(self.names)} names are "
                    f"known. Name them in a `data.yaml` (`names`) or `names.txt`, one class name a "
                    f"line, in {str(self.root)!r}."
                )
                raise DataError(msg)
            share = float(np.prod(np.ptp(points, axis=0)))
            found.append(Entry(image, row, self.names[index], share))
        return found

    def files_of(self, image: Path) -> list[Path]:
        """Return the image's label file."""
        return [self._labels[image]]

    def mask(self, entry: Entry, height: int, width: int) -> np.ndarray:
        """Fill the polygon of the entry's row."""
        label = self._labels[entry.image]
        where = f"{label}:{entry.key + 1}"
        line = "".join(read_text(label).splitlines()[entry.key : entry.key + 1])
        points = parse(line, where)[1] if line.strip() else np.zeros((0, 2))
        if len(points) < 3:
            msg = f"{where} holds no polygon any more: the file was changed. Restore it."
            raise DataError(msg)
        return fill_polygon(points * (width, height), height, width)


def parse(line: str, where: str) -> tuple[int, np.ndarray]:
    """Read one row as a class index and `(N, 2)` points in 0..1; a row of a box has none.

    Raises:
        DataError: a value is no number, or a coordinate lacks its partner.
    """
    try:
        values = [float(word) for word in line.split()]
    except ValueError as error:
        msg = f"{where} holds something that is no number: {error}. Repair or remove the row."
        raise DataError(msg) from error
    if not np.isfinite(values).all() or values[0] != int(values[0]):
        msg = f"{where}: a row begins with a whole class number, and no value is NaN or infinite."
        raise DataError(msg)
    if len(values) == 5:
        return int(values[0]), np.zeros((0, 2))
    if len(values) % 2 == 0:
        msg = f"{where} has an odd number of coordinates, {len(values) - 1}. Repair the row."
        raise DataError(msg)
    return int(values[0]), np.array(values[1:]).reshape(-1, 2)
