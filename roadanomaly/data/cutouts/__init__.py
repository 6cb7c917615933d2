"""Sets of objects cut out of images, one file a format, and the guess of a folder's format."""

from __future__ import annotations

from pathlib import Path

from roadanomaly.data.cutouts.base import Cutout, CutoutReader, Entry
from roadanomaly.data.cutouts.coco import CocoCutouts
from roadanomaly.data.cutouts.index_mask import IndexMaskCutouts
from roadanomaly.data.cutouts.rgba import RgbaCutouts
from roadanomaly.data.cutouts.yolo import YoloCutouts
from roadanomaly.errors import DataError, OptionError, nearest

READERS: dict[str, type[CutoutReader]] = {
    "coco": CocoCutouts,
    "yolo": YoloCutouts,
    "index_mask": IndexMaskCutouts,
    "rgba": RgbaCutouts,
}
"""Readers by format, in the order in which a folder is tried."""

LAYOUTS = (
    "coco: `annotations/instances_*.json`, Roboflow's `_annotations.coco.json` or any COCO JSON "
    "file, with its images; "
    "yolo: `images/**/*.jpg` and `labels/**/*.txt` with polygons, or `train/images/` and "
    "`train/labels/`; "
    "index_mask: `images/**/*.jpg` and `annotations/**/*.png` of class ids; "
    "rgba: PNG files with an alpha channel"
)


def open_cutouts(root: Path, layout: str = "auto", objects: str = "components") -> CutoutReader:
    """List the objects of a folder, and warn of what was left out.

    Arguments and errors are those of `read_cutouts`.
    """
    reader = read_cutouts(root, layout, objects)
    reader.report()
    return reader


def read_cutouts(root: Path, layout: str = "auto", objects: str = "components") -> CutoutReader:
    """List the objects of a folder.

    Args:
        root: the set's folder.
        layout: a key of `READERS`, or `"auto"` to guess.
        objects: of index masks, `"components"` or `"classes"`; other formats have objects already.

    Raises:
        DataError: the folder is not there, looks like no format, or holds no object.
        OptionError: no such format or kind of objects.
    """
    if layout != "auto" and layout not in READERS:
        msg = f"no cut-out format is called {layout!r}; {nearest(layout, ['auto', *READERS])}"
        raise OptionError(msg)
    if objects not in ("components", "classes"):
        msg = f"`objects` is {objects!r}; {nearest(objects, ['components', 'classes'])}"
        raise OptionError(msg)
    if not root.is_dir():
        msg = f"the cut-outs' folder {str(root)!r} does not exist. Give the `root` of a set."
        raise DataError(msg)
    if layout == "auto":
        layout = guess(root)
    by_objects = layout == IndexMaskCutouts.format
    return IndexMaskCutouts(root, objects) if by_objects else READERS[layout](root)


def guess(root: Path) -> str:
    """Return the format that a folder looks like.

    Raises:
        DataError: it looks like none.
    """
    for name, reader in READERS.items():
        if reader.matches(root):
            return name
    msg = f"{str(root)!r} holds no cut-outs in a known layout. Known: {LAYOUTS}."
    raise DataError(msg)


__all__ = ["READERS", "Cutout", "CutoutReader", "Entry", "open_cutouts", "read_cutouts"]
