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

_READ = ("file_name", "coco_url", "path", "height", "width", "license")
"""What is read of an image's record."""

_Listed = dict[Any, dict[str, Mapping[str, Any]]]
"""Images or categories by id: those of one id that differ, which is one where all is well."""

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
    decide whether it is read upright or as stored; an image of other proportions is left out.

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
        self._files = list(annotation_files(root) if files is None else files)
        for path in self._files:
            names.update(dict.fromkeys(self._read_set(path)))
        for path in other_files(root) if files is None else ():
            self.skip("JSON file that is not COCO", path)
        self.names = tuple(names)
        refuse_empty(self, "a COCO file needs annotations with a `segmentation` and their images")

    @staticmethod
    def matches(root: Path) -> bool:
        """Say whether the folder has instance annotations."""
        return bool(annotation_files(root))

    def files_of(self, image: Path) -> list[Path]:
        """Return the annotation files, each of which may name the image."""
        del image
        return self._files

    def _read_set(self, path: Path) -> list[str]:
        content = read_annotations(path)
        categories = _by_id(content["categories"], ("name",))
        images = _by_id(content["images"], _READ)
        found: dict[Any, _Picture | None] = {}
        for number, note in enumerate(content["annotations"], 1):
            try:
                record = _known(note, "image_id", images)
                if record["id"] not in found:
                    found[record["id"]] = self._find(path, record)
                picture = found[record["id"]]
                if picture is not None:
                    self._add(note, categories, picture)
            except LeftOut as reason:
                self.skip(str(reason), path, _which(note, number))
            except _MALFORMED:
                self.skip("annotation that is malformed", path, _which(note, number))
        return [str(item["name"]) for item in content["categories"]]

    def _find(self, path: Path, record: Mapping[str, Any]) -> _Picture | None:
        """Find an image of the set; None where it cannot be used."""
        found, size = find_image(self.root, path, record), _size(record)
        if not self.usable(found or self.root / next(image_names(record), "without a name"), size):
            return None
        assert found is not None
        return _Picture(found, size or image_size(found), _licence(record))

    def _add(self, note: Mapping[str, Any], categories: _Listed, picture: _Picture) -> None:
        """List one annotation.

        Raises:
            LeftOut: says why it cannot be used.
        """
        single = note.get("iscrowd") in (None, 0, "0")
        named = categories.get(note.get("category_id"), {})
        if not single or len(named) > 1:
            classes = {str(one["name"]) for one in named.values()} or {""}
            self.crowds.setdefault(picture.path, set()).update(classes)
        if single:
            self.entries.append(self._entry(note, categories, picture))
            return
        if note["iscrowd"] not in (1, "1"):
            msg = "annotation whose `iscrowd` is neither 0 nor 1"
            raise LeftOut(msg)
        with suppress(LeftOut, *_MALFORMED):
            crowd = self._entry(note, categories, picture)
            self.crowd_regions.setdefault(picture.path, []).append(crowd)
        msg = "annotation of a crowd"
        raise LeftOut(msg)

    def _entry(self, note: Mapping[str, Any], categories: _Listed, picture: _Picture) -> Entry:
        """Read one annotation, and keep its shape.

        Raises:
            LeftOut: says why it cannot be used.
        """
        category = str(_known(note, "category_id", categories)["name"])
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


def _by_id(records: Sequence[Mapping[str, Any]], keys: Sequence[str]) -> _Listed:
    """Sort images or categories by their ids; those of one id are one if these keys are equal."""
    found: _Listed = {}
    for record in records:
        content = repr([record.get(key) for key in keys])
        found.setdefault(record["id"], {}).setdefault(content, record)
    return found


def _known(note: Mapping[str, Any], key: str, listed: _Listed) -> Mapping[str, Any]:
    """Return the image or category that an annotation refers to.

    Raises:
        LeftOut: nothing has that id, or several that differ.
    """
    found = list(listed.get(note.get(key), {}).values())
    if len(found) == 1:
        return found[0]
    msg = f"annotation of {'a doubled' if found else 'an unknown'} `{key}`"
    raise LeftOut(msg)


def _size(record: Mapping[str, Any]) -> tuple[int, int] | None:
    """Return an image's `(height, width)` as its record has it; None of one without."""
    height, width = record.get("height"), record.get("width")
    if not isinstance(height, (int, float)) or not isinstance(width, (int, float)):
        return None
    whole = height // 1 == height and width // 1 == width and min(height, width) > 0
    return (int(height), int(width)) if whole else None


def _licence(record: Mapping[str, Any]) -> int | None:
    number = record.get("license")
    return number if isinstance(number, int) else None


def _which(note: object, number: int) -> str:
    identity = note.get("id") if isinstance(note, Mapping) else None
    return f"annotation {number if identity is None else identity}"
