"""YOLO sets as people have them: which image belongs to which label text, and the class names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from roadanomaly.config_text import bounded
from roadanomaly.data.cutouts.base import images_by_stem, names_file, read_text
from roadanomaly.errors import DataError
from roadanomaly.files import expanded, files_in

SPLITS = ("train", "val", "test", "minival")
"""Keys of `data.yaml` that name images."""


def class_names(root: Path) -> tuple[str, ...]:
    """Return the names of a set's classes, of `names.txt` or its `data.yaml`; empty without both.

    Raises:
        DataError: the file is broken.
    """
    found = names_file(root)
    if found:
        return found
    described = _description(root)
    names = described[1]["names"] if described else ()
    if isinstance(names, Mapping):
        last = max(names, default=-1)
        return tuple(str(names.get(index, index)) for index in range(last + 1))
    return tuple(map(str, names))


def pairs(root: Path) -> dict[Path, Path]:
    """Return each label text and its image's place, which may be empty; in the labels' order.

    Raises:
        DataError: `data.yaml` is broken.
    """
    found: dict[Path, Path] = {}
    for images, labels in _folders(root):
        stems = images_by_stem(images)
        for label in files_in(labels, (".txt",), recursive=True):
            stem = label.relative_to(labels).with_suffix("").as_posix()
            found.setdefault(label, stems.get(stem, images / f"{stem}.jpg"))
    return found


def has_labels(root: Path) -> bool:
    """Say whether a folder has label texts."""
    return any(next(labels.rglob("*.txt"), None) is not None for _, labels in _folders(root))


def _folders(root: Path) -> Iterator[tuple[Path, Path]]:
    """Give the folders of images with those of their labels, each label folder once."""
    taken: list[Path] = []
    described = _description(root)
    named = _named_images(*described) if described else []
    usual = [root / "images", *(path.parent / "images" for path in sorted(root.glob("*/labels")))]
    for images in (*usual, *named):
        labels = _labels_of(images)
        if labels is None or any(labels.resolve().is_relative_to(one) for one in taken):
            continue
        if labels.is_dir():
            taken.append(labels.resolve())
            yield images, labels


def _labels_of(images: Path) -> Path | None:
    """Return the folder of labels: `labels` in place of the last `images` of the path."""
    parts = list(images.parts)
    if "images" not in parts:
        return None
    place = len(parts) - 1 - parts[::-1].index("images")
    return Path(*parts[:place], "labels", *parts[place + 1 :])


def _named_images(path: Path, content: Mapping[str, Any]) -> list[Path]:
    """Return the image folders that a description names and that are there."""
    base = path.parent
    if isinstance(content.get("path"), str):
        base = (base / expanded(content["path"])).resolve()
    found = []
    for key in SPLITS:
        named = content.get(key)
        for word in named if isinstance(named, list) else [named]:
            if isinstance(word, str):
                places = (base / word, path.parent / word, path.parent / word.removeprefix("../"))
                found += [place.resolve() for place in places if place.is_dir()][:1]
    return found


def _description(root: Path) -> tuple[Path, dict[str, Any]] | None:
    """Return the file that names the classes: in the set's folder, or above it if it means it."""
    for folder in (root, root.absolute().parent):
        files = sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")])
        files.sort(key=lambda path: path.stem != "data")
        for path in files:
            content = _read(path, strict=folder is root and path.stem == "data")
            if content is None:
                continue
            images = _named_images(path, content)
            if folder is root or any(one.is_relative_to(root.resolve()) for one in images):
                return path, content
    return None


def _read(path: Path, *, strict: bool) -> dict[str, Any] | None:
    """Read a description; None where it names no classes.

    Raises:
        DataError: it is `data.yaml` itself and no YAML, or its `names` are none.
    """
    try:
        content = yaml.safe_load(bounded(read_text(path)))
    except (yaml.YAMLError, DataError, RecursionError) as error:
        content = error
    names = content.get("names") if isinstance(content, dict) else None
    if isinstance(names, list) or _is_table(names):
        return dict(content)
    if not strict:
        return None
    what = content if isinstance(content, Exception) else f"`names` is {names!r}"
    msg = (
        f"{path} does not name the classes ({' '.join(str(what).split())[:200]}). It needs "
        "`names`, a list of class names or `0: name, 1: name` for each class."
    )
    raise DataError(msg)


def _is_table(names: object) -> bool:
    return isinstance(names, dict) and all(type(key) is int and 0 <= key < 10**6 for key in names)
