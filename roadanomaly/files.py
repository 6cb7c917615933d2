"""Write a file, or a folder of files, whole or not at all."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
from collections.abc import Iterator, Mapping
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


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write a folder beside the old one, then put it in its place.

    Args:
        folder: where to; one that holds the same kind of files is replaced.
        files: name to content.

    Raises:
        UserError: it cannot be written, or holds files of other names, which would be lost.
    """
    target = folder.absolute()
    others = [p.name for p in target.iterdir() if p.name not in files] if target.is_dir() else []
    if others:
        msg = (
            f"nothing can be written to {target}: it holds other files ({min(others)}), which "
            "would be lost. Give a folder of its own."
        )
        raise UserError(msg)
    partial = target.with_name(f".{target.name}.partial")
    old = target.with_name(f".{target.name}.old")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        for name, content in files.items():
            (partial / name).write_bytes(content)
        shutil.rmtree(old, ignore_errors=True)
        if target.exists():
            target.rename(old)
        partial.rename(target)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        msg = f"the files of {target.name} cannot be written to {target}: {error.strerror}."
        raise UserError(msg) from error
