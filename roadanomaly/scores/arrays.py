"""Arrays from `.npy` and `.npz` files of strangers: looked at before they are read."""

from __future__ import annotations

import ast
import importlib
import io
import math
import tokenize
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO

import numpy as np

Shape = tuple[int, ...]
_PACKERS = (("lzma", "LZMAError"), ("compression.zstd", "ZstdError"))
"""Ways of packing with an error of their own, which not every Python is built with."""


def _packing_errors() -> tuple[type[Exception], ...]:
    found: list[type[Exception]] = []
    for module, name in _PACKERS:
        try:
            found.append(getattr(importlib.import_module(module), name))
        except ImportError:
            continue
    return tuple(found)


UNREADABLE: tuple[type[Exception], ...] = (
    OSError,
    ValueError,
    EOFError,
    KeyError,
    TypeError,
    AttributeError,
    ArithmeticError,
    MemoryError,
    SyntaxError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
    RuntimeError,
    *_packing_errors(),
)
"""What reading a damaged or foreign array file raises, in numpy and in the archive below it.

`RuntimeError` is `zipfile`'s word for a member that is encrypted, or packed in a way that is not
known here.
"""
_LENGTHS = {1: 2, 2: 4, 3: 4}
_LONGEST_HEADER = 10_000


def read_npy(path: Path, check: Callable[[Shape], None]) -> np.ndarray:
    """Read an array file.

    Args:
        path: of the file.
        check: is shown the shape before any number is read, and may refuse it.

    Raises:
        ValueError: another thing than an array, or one that is cut off; or one of `UNREADABLE`.
    """
    with path.open("rb") as file:
        return _read(file, path.stat().st_size, check)


def npz_names(path: Path) -> list[str]:
    """Return the names of an archive's arrays; what else lies in it is passed over.

    Raises:
        ValueError: it is no archive, or damaged; or one of `UNREADABLE`.
    """
    with zipfile.ZipFile(path) as archive:
        return [n.removesuffix(".npy") for n in archive.namelist() if n.endswith(".npy")]


def read_npz(path: Path, name: str, check: Callable[[Shape], None]) -> np.ndarray:
    """Read one array of an archive; arguments and errors as `read_npy`."""
    with zipfile.ZipFile(path) as archive:
        entry = archive.getinfo(f"{name}.npy")
        with archive.open(entry) as file:
            return _read(file, entry.file_size, check)


def _read(file: IO[bytes], size: int, check: Callable[[Shape], None]) -> np.ndarray:
    begin = file.read(8)
    if len(begin) < 8 or begin[:6] != b"\x93NUMPY" or begin[6] not in _LENGTHS:
        msg = "it does not begin as an array file does"
        raise ValueError(msg)
    width = _LENGTHS[begin[6]]
    counted = file.read(width)
    length = int.from_bytes(counted, "little")
    if length > _LONGEST_HEADER:
        msg = f"its header claims {length} bytes"
        raise ValueError(msg)
    header = file.read(length)
    shape, kind = _parse(header)
    check(shape)
    needed, held = math.prod(shape) * kind.itemsize, size - 8 - width - length
    if needed > held:
        msg = f"its shape {shape} needs {needed} bytes, and it holds {held}"
        raise ValueError(msg)
    whole = io.BytesIO(begin + counted + header + file.read(needed))
    return np.lib.format.read_array(whole, allow_pickle=False)


def _parse(header: bytes) -> tuple[Shape, np.dtype]:
    """Return shape and type that a header names."""
    held = ast.literal_eval(header.decode("utf-8").strip())
    shape = tuple(held["shape"])
    if not all(isinstance(side, int) and side >= 0 for side in shape):
        msg = f"its shape is {shape}"
        raise ValueError(msg)
    kind = np.lib.format.descr_to_dtype(held["descr"])
    if kind.hasobject:
        msg = "it holds Python objects, which are read by allow_pickle only"
        raise ValueError(msg)
    return shape, kind
