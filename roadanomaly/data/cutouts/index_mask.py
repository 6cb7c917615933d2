"""Cut-outs from masks of class ids, the layout of ADE20K's scene parsing set."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np

from roadanomaly.data.cutouts.base import (
    CutoutReader,
    Entry,
    by_stem,
    images_by_stem,
    names_file,
    read_text,
    refuse_empty,
)
from roadanomaly.data.images import fits_upright, image_size, list_images, read_label
from roadanomaly.errors import DataError

UNLABELLED = 0
"""Class id of pixels of which nothing is known; never cut out."""

SMALLEST = 16
"""Pixels of the smallest component that counts as an object, not as a speck."""


class IndexMaskCutouts(CutoutReader):
    """`images/**/NAME.jpg` beside `annotations/**/NAME.png`, whose pixels are class ids from 1.

    Names come from `objectInfo150.txt` (the first of a row's synonyms) or from `names.txt`, one a
    line, the first for id 1; without both a class is called by its id. Masks may be larger or
    smaller than their images; where they have other proportions, the image is left out.

    Args:
        root: the set's folder.
        objects: what makes a cut-out: each of a class's `"components"` (connected pixels), or
            all of the pixels of a class in an image, `"classes"`.
    """

    format: ClassVar[str] = "index_mask"

    def __init__(self, root: Path, objects: str = "components") -> None:
        super().__init__(root)
        self.names = _object_info(root) or names_file(root)
        self._whole = objects == "classes"
        labels = by_stem(list_images(root / "annotations", recursive=True), root / "annotations")
        images = images_by_stem(root / "images")
        pairs = {
            images.get(stem, root / "images" / f"{stem}.jpg"): label
            for stem, label in labels.items()
        }
        self._labels = {
            image: label for image, label in pairs.items() if self.usable(image, _size(label))
        }
        with ThreadPoolExecutor() as pool:
            for entries in pool.map(self._index, self._labels.items()):
                self.entries.extend(entries)
        refuse_empty(self, "`annotations/**/*.png` needs class ids above 0")

    @staticmethod
    def matches(root: Path) -> bool:
        """Say whether the folder has images and annotation masks."""
        return (root / "images").is_dir() and any((root / "annotations").rglob("*.png"))

    def _index(self, pair: tuple[Path, Path]) -> list[Entry]:
        image, label = pair
        try:
            ids = read_label(label).numpy()
        except DataError:
            self.skip("unreadable annotation", label)
            return []
        return [
            Entry(image, key, self._name(index), box / ids.size)
            for key, (index, _, box) in enumerate(_objects(ids, self._whole))
        ]

    def _name(self, index: int) -> str:
        return self.names[index - 1] if index <= len(self.names) else str(index)

    def upright(self, entry: Entry) -> bool:
        """Read upright unless the annotation has the size of the stored pixels."""
        return fits_upright(entry.image, image_size(self._labels[entry.image], upright=False))

    def files_of(self, image: Path) -> list[Path]:
        """Return the image's label file."""
        return [self._labels[image]]

    def mask(self, entry: Entry, height: int, width: int) -> np.ndarray:
        """Return the pixels of the entry's object, at image size."""
        ids = read_label(self._labels[entry.image]).numpy()
        for key, (_, mask, _) in enumerate(_objects(ids, self._whole)):
            if key == entry.key:
                return cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST)
        return np.zeros((height, width), np.uint8)


def _size(label: Path) -> tuple[int, int] | None:
    """Return a mask's `(height, width)`; None where it cannot be read, which its reading says."""
    try:
        return image_size(label, upright=False)
    except DataError:
        return None


def _objects(ids: np.ndarray, whole: bool) -> Iterator[tuple[int, np.ndarray, int]]:
    """Yield class id, mask (0 and 255) and its box's pixels of each object, in a fixed order."""
    for index in np.flatnonzero(np.bincount(ids.ravel(), minlength=256)):
        if index == UNLABELLED:
            continue
        mask = (ids == index).astype(np.uint8) * 255
        if whole:
            _, _, width, height = cv2.boundingRect(mask)
            yield int(index), mask, width * height
            continue
        _, parts, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
        for part, row in enumerate(stats[1:], 1):
            if row[cv2.CC_STAT_AREA] >= SMALLEST:
                box = int(row[cv2.CC_STAT_WIDTH] * row[cv2.CC_STAT_HEIGHT])
                yield int(index), (parts == part).astype(np.uint8) * 255, box


def _object_info(root: Path) -> tuple[str, ...]:
    """Read the names of `objectInfo150.txt`: tab-separated, the id first, the synonyms last."""
    path = root / "objectInfo150.txt"
    if not path.is_file():
        return ()
    rows = [line.split("\t") for line in read_text(path).splitlines()]
    names = {int(row[0]): row[-1].split(",")[0].strip() for row in rows if row[0].strip().isdigit()}
    return tuple(names.get(index, str(index)) for index in range(1, max(names, default=0) + 1))
