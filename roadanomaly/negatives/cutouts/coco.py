"""Cut-outs from COCO JSON: polygons or uncompressed run lengths for each object."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np

from roadanomaly.errors import DataError
from roadanomaly.negatives.cutouts.base import CutoutReader, Entry, fill_polygon, refuse_empty


class CocoCutouts(CutoutReader):
    """`annotations/instances_NAME.json` beside the images, in `NAME/`, `images/NAME/` or `images/`.

    Parts of an object are united, as the COCO tools do; holes come from run lengths. Crowds are
    left out, since they are no single object.
    """

    format: ClassVar[str] = "coco"

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._shapes: list[Any] = []
        names: dict[str, None] = {}
        for path in _annotation_files(root):
            names.update(dict.fromkeys(self._read_set(path)))
        self.names = tuple(names)
        refuse_empty(self, "`instances_*.json` needs annotations with a polygon `segmentation`")

    @staticmethod
    def matches(root: Path) -> bool:
        """Say whether the folder has instance annotations."""
        return bool(_annotation_files(root))

    def _read_set(self, path: Path) -> list[str]:
        try:
            content = json.loads(path.read_text())
            categories = {item["id"]: item["name"] for item in content["categories"]}
            sizes = {
                item["id"]: (item["file_name"], item["width"], item["height"])
                for item in content["images"]
            }
            annotations = content["annotations"]
        except (ValueError, KeyError, TypeError) as error:
            msg = (
                f"{path} is no COCO instance file ({error!r}); it needs `images`, `categories` "
                "and `annotations`. Download it again, or move it away."
            )
            raise DataError(msg) from error
        split = path.stem.removeprefix("instances_")
        files: dict[int, Path | None] = {}
        for annotation in annotations:
            identity = annotation["image_id"]
            if identity not in files:
                files[identity] = self._find(split, sizes[identity][0])
            image = files[identity]
            if image is None:
                continue
            shape = _shape(annotation)
            if shape is None:
                self.skip("annotation without a polygon", path)
                continue
            _, width, height = sizes[identity]
            share = annotation["bbox"][2] * annotation["bbox"][3] / (width * height)
            name = categories[annotation["category_id"]]
            self.entries.append(Entry(image, len(self._shapes), name, share))
            self._shapes.append((width, height, shape))
        return list(categories.values())

    def _find(self, split: str, name: str) -> Path | None:
        places = [self.root / split, self.root / "images" / split, self.root / "images", self.root]
        found = next((folder / name for folder in places if (folder / name).is_file()), None)
        return found if self.usable(found or places[0] / name) else None

    def mask(self, entry: Entry, height: int, width: int) -> np.ndarray:
        """Unite the object's polygons, or lay out its runs, at image size."""
        across, down, shape = self._shapes[entry.key]
        if isinstance(shape, dict):
            mask = from_runs(shape["counts"], *shape["size"])
            return cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST)
        mask = np.zeros((height, width), np.uint8)
        for points in shape:
            scaled = points * (width / across, height / down)
            mask |= fill_polygon(scaled, height, width)
        return mask


def from_runs(counts: list[int], height: int, width: int) -> np.ndarray:
    """Lay out COCO run lengths (columns first, the first run is outside) as a mask of 0 and 255."""
    flat = np.zeros(height * width, np.uint8)
    for start, end in list(pairwise(np.cumsum(counts)))[::2]:
        flat[start:end] = 255
    return np.ascontiguousarray(flat.reshape(width, height).T)


def _shape(annotation: dict[str, Any]) -> list[np.ndarray] | dict[str, Any] | None:
    """Return polygons `(N, 2)` in pixels or uncompressed runs; None for anything else."""
    shape = annotation.get("segmentation")
    if annotation.get("iscrowd"):
        return None
    if isinstance(shape, dict):
        return shape if isinstance(shape.get("counts"), list) else None
    polygons = [np.array(part, np.float32).reshape(-1, 2) for part in shape or () if len(part) >= 6]
    return polygons or None


def _annotation_files(root: Path) -> list[Path]:
    return sorted([*root.glob("instances_*.json"), *root.glob("annotations/instances_*.json")])
