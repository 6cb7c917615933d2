"""COCO files as people have them: which JSON files hold annotations, and where an image lies."""

from __future__ import annotations

import json
import mmap
import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from roadanomaly.data.cutouts.base import is_there
from roadanomaly.errors import DataError

PARTS = ("images", "categories", "annotations")
"""What a COCO instance file consists of."""

ROBOFLOW = "_annotations.coco.json"
"""What Roboflow calls the file that lies among its images."""

_MARKS = tuple(re.compile(rf'"{part}"\s*:'.encode()) for part in PARTS)


def annotation_files(root: Path) -> list[Path]:
    """Return a set's annotation files: COCO's own names, else Roboflow's, else any name."""
    official = sorted([*root.glob("instances_*.json"), *root.glob("annotations/instances_*.json")])
    return official or _roboflow(root) or [path for path in _json_files(root) if _is_coco(path)]


def other_files(root: Path) -> list[Path]:
    """Return the JSON files that are passed over although no official names say which to take."""
    taken = annotation_files(root)
    if any(path.name.startswith("instances_") or path.name == ROBOFLOW for path in taken):
        return []
    return [path for path in _json_files(root) if path not in taken]


def read_annotations(path: Path) -> dict[str, list[Any]]:
    """Read a COCO file's three lists.

    Raises:
        DataError: it cannot be read or has another form.
    """
    if not path.is_file():
        msg = f"the annotation file {path} is missing; unpack it there, or download it again."
        raise DataError(msg)
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
        found = {part: content[part] for part in PARTS}
        if not all(isinstance(part, list) for part in found.values()):
            raise TypeError("not all of them are lists")
        for part in ("images", "categories"):
            _ = {item["id"] for item in found[part]}
        _ = [item["name"] for item in found["categories"]]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        msg = (
            f"{path} is no COCO instance file ({type(error).__name__}: {error}); it needs "
            "`images`, `categories` and `annotations`. Download it again, or move it away."
        )
        raise DataError(msg) from error
    return found


def find_image(root: Path, annotations: Path, record: Mapping[str, Any]) -> Path | None:
    """Return an image's file, or None where there is none.

    Args:
        root: the set's folder.
        annotations: the file that names the image.
        record: of the image.
    """
    names = list(image_names(record))
    places = list(_places(root, annotations))
    found = (place / name for name in names for place in places)
    return next((path for path in found if is_there(path)), None)


def image_names(record: Mapping[str, Any]) -> Iterator[str]:
    """Give the names that an image's file may have: as written, by its address, by its number."""
    for key in ("file_name", "coco_url", "path"):
        written = record.get(key)
        if isinstance(written, str) and written:
            parts = PurePosixPath(written.replace("\\", "/")).parts
            if key == "file_name" and not {"/", ".."} & set(parts):
                yield "/".join(parts)
            yield from ("/".join(parts[-2:]), parts[-1]) if len(parts) > 1 else parts
    if isinstance(record["id"], int):
        yield from (f"{record['id']:012d}.jpg", f"{record['id']}.jpg")


def _places(root: Path, annotations: Path) -> Iterator[Path]:
    folder = annotations.parent
    if folder not in (root, root / "annotations"):
        yield from (folder, folder / "images")
    split = annotations.stem.removeprefix("instances_")
    yield from (root / split, root / "images" / split, root / "images", root)
    if folder.name == "annotations":
        yield from (folder.parent, folder.parent / "images")


def _roboflow(root: Path) -> list[Path]:
    return sorted([*root.glob(ROBOFLOW), *root.glob(f"*/{ROBOFLOW}")])


def _json_files(root: Path) -> list[Path]:
    patterns = ("*.json", "*/*.json", "*/annotations/*.json")
    found = {path for pattern in patterns for path in root.glob(pattern)}
    return sorted(path for path in found if path.is_file())


def _is_coco(path: Path) -> bool:
    """Say whether the names of the three parts stand in a file; it is not parsed for that."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
            return all(mark.search(text) for mark in _MARKS)
    except (OSError, ValueError):
        return False
