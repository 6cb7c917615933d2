"""Where a data set lies: the root that was given, else the environment's, else `datasets/`."""

from __future__ import annotations

import glob
import os
from collections.abc import Collection, Iterable
from itertools import islice
from pathlib import Path

from roadanomaly.errors import DataError
from roadanomaly.files import expanded

ENVIRONMENT = "ROADANOMALY_DATA"
"""Names the folder that holds one folder a data set."""


def find_root(folder: str, root: str | Path | None = None) -> Path:
    """Return the folder of a data set.

    Args:
        folder: its usual name: `"camvid"`.
        root: the data set's own folder, or one that holds `<folder>/`; None looks into
            `$ROADANOMALY_DATA/<folder>`, or without that variable into `datasets/<folder>` below
            the current directory.

    Raises:
        DataError: there is no such folder: says what was looked for, where, and what to do.
    """
    base = os.environ.get(ENVIRONMENT)
    if root is not None:
        given, origin = expanded(root), "the option `root`"
        found = given / folder if (given / folder).is_dir() else given
    elif base:
        found, origin = expanded(base) / folder, f"the environment variable {ENVIRONMENT}"
    else:
        found, origin = Path("datasets") / folder, f"the default, since {ENVIRONMENT} is not set"
    if found.is_dir():
        return found
    instead = "that is a file" if found.exists() else _what_is_there(found.absolute().parent)
    msg = (
        f"the data set `{folder}` was looked for in the folder {found.absolute()} ({origin}), but "
        f"{instead}. Name its folder by `root`, or set {ENVIRONMENT} to the folder that holds "
        f"`{folder}/`; datasets/README.md says where each set is downloaded."
    )
    raise DataError(msg)


def find_set(root: str) -> Path:
    """Return a folder by its path, or by its plain name among the data sets.

    Raises:
        DataError: there is no data set of that name.
    """
    path = expanded(root)
    return find_root(root) if len(path.parts) == 1 and not path.is_dir() else path


def below_root(path: str | Path) -> Path:
    """Return a path that a user names: as it stands, or else below the root of the data sets.

    Args:
        path: of a file or folder, or a glob: `"roads_brazil/images/*.jpg"`.

    Returns:
        the path itself where it is absolute, where something lies there, and where nothing lies
        below `$ROADANOMALY_DATA` (without that variable, `datasets/`) either.
    """
    given = expanded(path)
    below = data_root() / given
    return below if not _is_there(given) and _is_there(below) else given


def data_root() -> Path:
    """Return the folder that holds one folder a data set, which need not exist."""
    return expanded(os.environ.get(ENVIRONMENT) or "datasets")


def _is_there(path: Path) -> bool:
    """Whether a path, or the folder in which a glob begins, exists."""
    while glob.has_magic(str(path)):
        path = path.parent
    return path.exists()


def find_folder(root: Path, *parts: str) -> Path:
    """Return the folder `root/parts...` of a data set.

    Raises:
        DataError: it is absent: says what is there instead.
    """
    found = root.joinpath(*parts)
    if found.is_dir():
        return found
    msg = (
        f"the folder {'/'.join(parts)}/ was looked for in {root.absolute()}, but "
        f"{_what_is_there(found.absolute().parent)}. Check that `root` (or {ENVIRONMENT}) names "
        "the data set's own folder, that the download was unpacked whole, and that the split is "
        "spelled as its folder is."
    )
    raise DataError(msg)


def check_pairs(images: Collection[str], labels: Collection[str], image: Path, label: Path) -> None:
    """Refuse a set in which an image lacks its label or a label its image.

    Args:
        images: names (stems) of the images.
        labels: names of the labels.
        image: folder of the images, for the message.
        label: folder of the labels, for the message.

    Raises:
        DataError: says how many and which are without a partner, or that there are no images.
    """
    if not images:
        msg = (
            f"no images were found in {image.absolute()}: {_what_is_there(image.absolute())}. "
            "Check that the download was unpacked whole and that `root` names its folder."
        )
        raise DataError(msg)
    for lone, what, where, partner in (
        (set(images) - set(labels), "images", image, f"label in {label.absolute()}"),
        (set(labels) - set(images), "labels", label, f"image in {image.absolute()}"),
    ):
        if lone:
            msg = (
                f"{len(lone)} of the {what} in {where.absolute()} have no {partner}: "
                f"{shorten(sorted(lone))}. Unpack the missing files again, or take those without "
                "a partner out of the folder."
            )
            raise DataError(msg)


def shorten(names: Iterable[str], most: int = 5) -> str:
    """Return the first names, and how many more there are.

    >>> shorten(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    names = list(names)
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")


def _what_is_there(parent: Path) -> str:
    if not parent.is_dir():
        return f"{parent} does not exist"
    found = sorted(path.name + "/" * path.is_dir() for path in islice(parent.iterdir(), 2000))
    return f"{parent} holds {shorten(found, 8)}" if found else f"{parent} is empty"
