"""Write a file whole or not at all."""

from __future__ import annotations

import contextlib
import io
import os
from pathlib import Path

import numpy as np

from roadanomaly.errors import UserError


def write_bytes(path: Path, content: bytes) -> None:
    """Write beside `path`, then rename; folders are made.

    Raises:
        UserError: it cannot be written.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(content)
        partial.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        msg = (
            f"{path} cannot be written: {error.strerror or error}. Choose another output folder, "
            "or make this one writable and see that it has room."
        )
        raise UserError(msg) from error


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
