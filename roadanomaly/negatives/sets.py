"""Where a source's files lie."""

from __future__ import annotations

from pathlib import Path

from roadanomaly.data.roots import find_root


def find_set(root: str) -> Path:
    """Return a folder by its path, or by its plain name among the data sets.

    Raises:
        DataError: there is no data set of that name.
    """
    path = Path(root).expanduser()
    return find_root(root) if len(path.parts) == 1 and not path.is_dir() else path
