"""Cut-outs from COCO JSON: polygons or run lengths, compressed or not, for each object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from roadanomaly.data.cutouts.base import CutoutReader, Entry, refuse_empty
from roadanomaly.data.cutouts.coco_files import (
    annotation_files,
    find_image,
    image_names,
    other_files,
    read_annotations,
)
from roadanomaly.data.cutouts.coco_mask import LeftOut, Shape, fill, shape_of
from roadanomaly.data.images import fits_upright, image_size

_MALFORMED = (TypeError, ValueError, KeyError, OverflowError, AttributeError, IndexError)


class _Picture(NamedTuple):
    """An image's file, the `(height, width)` of its annotations, and the number of its licence."""

    path: Path
    size: tuple[int, int]
    licence: int | None


class CocoCutouts(CutoutReader):
    """A COCO file with its images: COCO's, Roboflow's, CVAT's and LVIS's layouts, or any name.

    `annotations/instances_NAME.json` lies beside the images in `NAME/`, `images/NAME/` or
    `images/`; `_annotations.coco.json` among them; else any JSON file that is COCO inside. Images
    without a `file_name` are found by their `coco_url` or number. An image's `width` and `height`
    decide whether it is read upright or as stored.

    Parts of an object are united, as the COCO tools do; holes come from run lengths. Crowds are
    left out, since they are no single object; what is broken is left out and named in `skipped`.

    Args:
        root: the set's folder.
        files: its annotation files; None takes all that are there.
    """

    format: ClassVar[str] = "coco"

    def __init__(self, root: Path, files: Sequence[Path] | None = None) -> None:
        super().__init__(root)
        self._shapes: list[tuple[tuple[int, int], Shape]] = []
        names: dict[str, None] = {}
        for path in annotation_files(root) if files is None else files:
            names.update(dict.fromkeys(self._read_set(path)))
        for path in other_files(root) if files is None else ():
            self.skip("JSON file that is not COCO", path)
        self.names = tuple(names)
        refuse_empty(self, "a COCO file needs annotations with a `segmentation` and their images")

    @staticmethod
    def matches(root: Path) -> bool:
        """Say whether the folder has instance annotations."""
        return bool(annotation_files(root))

    def _read_set(self, path: Path) -> list[str]:
        content = read_annotations(path)
        categories = {item["id"]: str(item["name"]) for item in content["categories"]}
        images = {item["id"]: item for item in content["images"]}
        found: dict[Any, _Picture | None] = {}
        for number, note in enumerate(content["annotations"], 1):
            try:
                identity = _known(note, "image_id", images)
                if identity not in found:
                    found[identity] = self._find(path, images[identity])
                picture = found[identity]
                if picture is not None:
                    self._add(note, categories, picture)
            except LeftOut as reason:
                self.skip(str(reason), path, _which(note, number))
            except _MALFORMED:
                self.skip("annotation that is malformed", path, _which(note, number))
        return list(categories.values())

    def _find(self, path: Path, record: Mapping[str, Any]) -> _Picture | None:
        """Find an image of the set; None where it cannot be used."""
        found = find_image(self.root, path, record)
        if not self.usable(found or self.root / next(image_names(record), "without a name")):
            return None
        assert found is not None
        height, width = record.get("height"), record.get("width")
        if isinstance(height, int) and isinstance(width, int) and min(height, width) > 0:
            return _Picture(found, (height, width), _licence(record))
        return _Picture(found, image_size(found), _licence(record))

    def _add(
        self, note: Mapping[str, Any], categories: Mapping[Any, str], picture: _Picture
    ) -> None:
        """List one annotation.

        Raises:
            LeftOut: says why it cannot be used.
        """
        if note.get("iscrowd"):
            category = categories.get(note.get("category_id"), "")
            self.crowds.setdefault(picture.path, set()).add(category)
            with suppress(LeftOut, *_MALFORMED):
                crowd = self._entry(note, categories, picture)
                self.crowd_regions.setdefault(picture.path, []).append(crowd)
            msg = "annotation of a crowd"
            raise LeftOut(msg)
        self.entries.append(self._entry(note, categories, picture))

    def _entry(
        self, note: Mapping[str, Any], categories: Mapping[Any, str], picture: _Picture
    ) -> Entry:
        """Read one annotation, and keep its shape.

        Raises:
            LeftOut: says why it cannot be used.
        """
        category = categories[_known(note, "category_id", categories)]
        box = np.array(note.get("bbox") or (), np.float64)
        if box.shape != (4,) or not np.isfinite(box).all() or box[2:].min() < 0:
            msg = "annotation without a `bbox` of four numbers"
            raise LeftOut(msg)
        height, width = picture.size
        shape = shape_of(note.get("segmentation"), height, width)
        share = float(box[2] * box[3]) / (height * width)
        self._shapes.append((picture.size, shape))
        return Entry(picture.path, len(self._shapes) - 1, category, share, picture.licence)

    def upright(self, entry: Entry) -> bool:
        """Read upright unless the file's `width` and `height` are those of the stored pixels."""
        return fits_upright(entry.image, self._shapes[entry.key][0])

    def mask(self, entry: Entry, height: int, width: int) -> np.ndarray:
        """Unite the object's polygons, or lay out its runs, at image size."""
        size, shape = self._shapes[entry.key]
        return fill(shape, size, (height, width))


def _known(note: Mapping[str, Any], key: str, known: Mapping[Any, Any]) -> Any:
    """Return an annotation's reference to an image or category.

    Raises:
        LeftOut: nothing has that id.
    """
    if note.get(key) in known:
        return note[key]
    msg = f"annotation of an unknown `{key}`"
    raise LeftOut(msg)


def _licence(record: Mapping[str, Any]) -> int | None:
    number = record.get("license")
    return number if isinstance(number, int) else None


def _which(note: object, number: int) -> str:
    identity = note.get("id") if isinstance(note, Mapping) else None
    return f"annotation {number if identity is None else identity}"
