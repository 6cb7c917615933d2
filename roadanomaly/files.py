"""Write a file whole or not at all."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from roadanomaly.errors import UserError

PARTIAL = ".partial"
"""How the names of files end that are not whole yet."""


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a hidden neighbour to write into; it becomes `path` once the block has ended well.

    Raises:
        UserError: it cannot be written.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}{PARTIAL}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        partial.replace(path)
    except OSError as error:
        msg = (
            f"{path} cannot be written: {error.strerror or error}. Choose another output folder, "
            "or make this one writable and see that it has room."
        )
        raise UserError(msg) from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write beside `path`, then rename; folders are made.

    Raises:
        UserError: it cannot be written.
    """
    with replacing(path) as partial:
        partial.write_bytes(content)


def remove_partial(folder: Path) -> None:
    """Remove what writers that were killed left below a folder."""
    for path in folder.rglob(f".*{PARTIAL}"):
        path.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write text as UTF-8.

    Raises:
        UserError: it cannot be written.
    """
    write_bytes(path, text.encode())


def write_array(path: Path, array: np.ndarray) -> None:
    """Write an array as `.npy`.

    Raises:
        UserError: it cannot be written.
    """
    content = io.BytesIO()
    np.save(content, array)
    write_bytes(path, content.getvalue())
