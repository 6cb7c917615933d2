"""Where a source's files lie, and which of them are held out."""

from __future__ import annotations

import hashlib
from pathlib import Path

from roadanomaly.data.roots import find_root


def find_set(root: str) -> Path:
    """Return a folder by its path, or by its plain name among the data sets.

    Raises:
        DataError: there is no data set of that name.
    """
    path = Path(root).expanduser()
    return find_root(root) if len(path.parts) == 1 and not path.is_dir() else path


def in_part(name: str, part: str, held_out: float) -> bool:
    """Say whether a file belongs to a part of its set; the same everywhere and for ever.

    Args:
        name: of the file, without folder and suffix; its hash decides.
        part: `"train"`, `"held_out"`, or `"all"` for both.
        held_out: share of the files that are held out.
    """
    return part == "all" or (place_of(name) < held_out) == (part == "held_out")


def place_of(name: str) -> float:
    """Return a name's place in 0..1, by its hash; a share of a set is what lies below it."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") / 2**64
