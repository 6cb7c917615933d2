"""The layout in which road-anomaly sets are handed round: `images/<n>.*`, `labels_masks/<n>.png`.

Public code of several methods comes with a folder `Validation_Dataset/` of such sets. Their frames
are numbered, so the numbers are ids here but none of the benchmarks'.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from roadanomaly.data.images import list_images
from roadanomaly.data.roots import shorten
from roadanomaly.errors import DataError

COLLECTION = "Validation_Dataset"
"""The folder that holds the sets' folders."""

FOLDERS: Mapping[str, str] = {
    "RoadAnomaly21": "smiyc-anomaly",
    "RoadObsticle21": "smiyc-obstacle",
    "RoadObstacle21": "smiyc-obstacle",
    "FS_LostFound_full": "fishyscapes-laf",
    "fs_static": "fishyscapes-static",
    "RoadAnomaly": "roadanomaly",
}
"""The sets' folders there, one of them misspelt, and the names of the sets here."""

VERSION = "as handed round: frames are numbered, their ids are not the official ones"
"""What `data check` says of this layout."""

LAYOUT = "images/<n>.png (jpg, webp), labels_masks/<n>.png, as they are handed round"


def tops(name: str) -> tuple[str, ...]:
    """Return the places of a set below a root, the collection's folder among them."""
    folders = [folder for folder, what in FOLDERS.items() if what == name]
    return (*folders, *(f"{COLLECTION}/{folder}" for folder in folders))


def is_handed_round(top: Path) -> bool:
    """Say whether a set's folder has this layout: masks named by numbers, strays apart."""
    masks = top / "labels_masks"
    if not masks.is_dir() or not (top / "images").is_dir():
        return False
    names = [path.stem for path in list_images(masks)]
    return 2 * sum(name.isdecimal() for name in names) > len(names)


def is_copy_of(name: str, top: Path) -> bool:
    """Say whether a folder has this layout and may be that set's: it is known as no other's."""
    known = name in FOLDERS.values() and FOLDERS.get(top.name, name) == name
    return known and is_handed_round(top)


def numbered(top: Path, name: str) -> tuple[dict[str, Path], dict[str, Path]] | None:
    """Return images and masks by number; None where the folder has another layout.

    Args:
        top: the set's folder.
        name: of the set that is wanted.

    Raises:
        DataError: the folder is known to be of another set, two files have one number, or images
            and masks that belong together have another name than a number.
    """
    if not is_handed_round(top):
        return None
    other = FOLDERS.get(top.name, name)
    if other != name:
        msg = f"the folder {top.absolute()} is that of `{other}`, not of `{name}`: name that set."
        raise DataError(msg)
    images, masks = _by_number(top / "images"), _by_number(top / "labels_masks")
    _refuse_strays(images, masks)
    return images, masks


def _refuse_strays(images: Mapping[str, Path], masks: Mapping[str, Path]) -> None:
    """Refuse frames that are not numbered; one that lacks image or mask is named where it counts.

    Raises:
        DataError: names their files.
    """
    strays = [name for name in images if name in masks and not name.isdecimal()]
    if strays:
        files = shorten([str(path) for name in strays for path in (images[name], masks[name])], 4)
        msg = (
            f"the frames of this set are numbered, but {len(strays)} have another name: {files}. "
            "Copies of a frame are called like this, and would be scored twice: take them out."
        )
        raise DataError(msg)


def _by_number(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in list_images(folder):
        if path.stem in found:
            msg = f"two files have the id {path.stem}: {found[path.stem]} and {path}. Remove one."
            raise DataError(msg)
        found[path.stem] = path
    return found
