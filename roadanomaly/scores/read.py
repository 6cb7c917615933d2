"""One score map from a file of any kind that people keep them in, whole and finite or an error."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from roadanomaly.errors import DataError
from roadanomaly.scores.arrays import UNREADABLE, Shape, npz_names, read_npy, read_npz

KEY = "value"
"""Name of the array in the official HDF5 files, and in `.npz` files with several arrays."""

SUFFIXES = (".hdf5", ".h5", ".npy", ".npz", ".png", ".tif", ".tiff")
"""File name endings that count as a score map, in lower case."""

_PNG_END = b"\x00\x00\x00\x00IEND\xaeB`\x82"
MOST_PIXELS = 1 << 30
"""Of a map whose image is not known."""

Check = Callable[[Shape], None]
"""Refuses a shape before its numbers are read."""

_FLOATS = (np.float16, np.float32, np.float64)
_TOP_16_BITS = 65535


def read_map(path: str | Path, size: tuple[int, int] | None = None) -> np.ndarray:
    """Read the score map of one frame.

    HDF5 has it under `value`; `.npz` under `value` or as its only array; 16-bit PNG and TIFF are
    brought to 0..1. Sides of length 1 are dropped, as the official tool does.

    Args:
        path: the file; its ending says which kind it is.
        size: `(H, W)` of the image; a narrower map is enlarged bilinearly in float32. None takes
            the map as it is.

    Returns:
        `(H, W)` float16, float32 or float64, as stored.

    Raises:
        DataError: missing, truncated or of another kind; wrong key, type or shape; not finite, or
            the same value everywhere.
    """
    score = _read(Path(path), size)
    return score if size is None else fit(Path(path), score, size)


def read_enlarged(path: str | Path, size: tuple[int, int]) -> tuple[np.ndarray, bool]:
    """Read a map as `read_map` does, and say whether it was enlarged.

    Raises:
        DataError: as `read_map`.
    """
    score = _read(Path(path), size)
    fitted = fit(Path(path), score, size)
    return fitted, fitted is not score


def _read(path: Path, size: tuple[int, int] | None) -> np.ndarray:
    score = load_map(path, size)
    check_values(path, score)
    return score


def load_map(path: Path, size: tuple[int, int] | None = None) -> np.ndarray:
    """Read a map without judging its values, and as large as it is; the rest as `read_map`.

    Raises:
        DataError: missing, truncated or of another kind; wrong key, type or shape.
    """

    def check(shape: Shape) -> None:
        _check_shape(path, shape, size)

    return _squeeze(path, _load(path, check))


def _check_shape(path: Path, shape: Shape, size: tuple[int, int] | None) -> None:
    """Refuse a shape before the numbers are read: a header may claim any.

    Raises:
        DataError: it is none of the image, or of no image.
    """
    sides = tuple(side for side in shape if side != 1)
    if size is not None and len(sides) == 2 and min(sides):
        _require_fit(path, (sides[0], sides[1]), size)
    most = MOST_PIXELS if size is None else 64 * size[0] * size[1]
    if math.prod(shape) > most:
        image = "" if size is None else f", and its image has {size[1]}×{size[0]}"
        msg = (
            f"{path} claims the shape {shape}, {math.prod(shape)} numbers{image}; a score map is "
            "(H, W), one number a pixel. Save the map again."
        )
        raise DataError(msg)


def fit(path: Path, score: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Enlarge a narrower map to `size`, as the official parallel path does.

    Raises:
        DataError: the map is not narrower, or not of the image's proportions.
    """
    _require_fit(path, (score.shape[0], score.shape[1]), size)
    if score.shape == tuple(size):
        return score
    height, width = size
    return cv2.resize(score.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)


def _require_fit(path: Path, shape: tuple[int, int], size: tuple[int, int]) -> None:
    if shape == tuple(size):
        return
    (rows, columns), (height, width) = shape, size
    sizes = f"{path} is {columns}×{rows}, but its image is {width}×{height} pixels (width×height)"
    if (rows, columns) == (width, height):
        msg = f"{sizes}: rows and columns are swapped. Transpose the map before saving it."
        raise DataError(msg)
    if columns >= width:
        msg = (
            f"{sizes}; only a narrower map is enlarged, as the official tool does. Save the map "
            "at the image's size, or at a smaller one of the same proportions."
        )
        raise DataError(msg)
    if abs(columns * height / width - rows) > max(1.5, 0.02 * rows):
        msg = (
            f"{sizes}: its proportions differ, so it does not show the whole image. Save the map "
            "without padding or cropping."
        )
        raise DataError(msg)


def _load(path: Path, check: Check) -> np.ndarray:
    loaders = {".hdf5": _load_hdf5, ".h5": _load_hdf5, ".npy": _load_npy, ".npz": _load_npz}
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        msg = f"{path} is no score map; its name must end in one of {', '.join(SUFFIXES)}."
        raise DataError(msg)
    if not path.is_file():
        msg = f"the score map {path} does not exist; write it, or correct the folder or name."
        raise DataError(msg)
    if path.stat().st_size == 0:
        raise _broken(path, "it is empty")
    return loaders.get(suffix, _load_image)(path, check)


def _broken(path: Path, why: object) -> DataError:
    msg = (
        f"the score map {path} cannot be read ({why}): it is truncated, damaged or of another "
        "kind than its name says. Write or copy it again."
    )
    return DataError(msg)


def _load_hdf5(path: Path, check: Check) -> np.ndarray:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            held = file.get(KEY)
            if isinstance(held, h5py.Group):
                msg = (
                    f"{path} holds a group called {KEY!r} ({_listed(held) or 'empty'}), and not an "
                    "array. Save the map itself under this name."
                )
                raise DataError(msg)
            if not isinstance(held, h5py.Dataset):
                raise _without_key(path, list(file))
            check(held.shape or ())
            return np.asarray(held[()])
    except UNREADABLE as error:
        raise _broken(path, error) from error


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))


def _without_key(path: Path, keys: list[str]) -> DataError:
    msg = (
        f"{path} holds {_listed(keys) or 'nothing'}, but no array called {KEY!r}; "
        f"the official tool reads {KEY!r} only. Save the map under this name."
    )
    return DataError(msg)


def _load_npy(path: Path, check: Check) -> np.ndarray:
    try:
        return read_npy(path, check)
    except UNREADABLE as error:
        raise _broken(path, error) from error


def _load_npz(path: Path, check: Check) -> np.ndarray:
    if not zipfile.is_zipfile(path):
        raise _broken(path, "it is no whole zip archive")
    try:
        names = npz_names(path)
        if KEY not in names and len(names) != 1:
            raise _without_key(path, names)
        return read_npz(path, KEY if KEY in names else names[0], check)
    except UNREADABLE as error:
        raise _broken(path, error) from error


def _load_image(path: Path, check: Check) -> np.ndarray:
    del check  # the decoder has a limit of its own
    try:
        data = path.read_bytes()
    except OSError as error:
        raise _broken(path, error) from error
    if path.suffix.lower() == ".png" and _PNG_END not in data[-4096:]:
        raise _broken(path, f"its end mark is missing after {len(data)} bytes")
    try:
        score = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        score = None
    if score is None:
        raise _broken(path, "it cannot be decoded")
    if score.dtype == np.uint8:
        msg = (
            f"{path} has 8 bits a pixel, which tell only 256 scores apart; a score map needs 16 "
            "bits or floats. Save it as 16-bit PNG, TIFF, .npy or HDF5."
        )
        raise DataError(msg)
    if score.dtype == np.uint16:
        score = score.astype(np.float32) / np.float32(_TOP_16_BITS)
    return score


def _squeeze(path: Path, score: np.ndarray) -> np.ndarray:
    score = score.astype(score.dtype.newbyteorder("="), copy=False)
    if score.dtype not in _FLOATS:
        msg = (
            f"{path} holds {score.dtype}; a score map is float16, float32 or float64. Save the "
            "detector's scores, not classes or masks, and without rounding them to integers."
        )
        raise DataError(msg)
    squeezed = score.squeeze()
    if squeezed.ndim != 2 or squeezed.size == 0:
        msg = (
            f"{path} has shape {score.shape}; a score map is (H, W), one number a pixel. Save one "
            "file a frame, without channels."
        )
        raise DataError(msg)
    return squeezed


def check_values(path: object, score: np.ndarray) -> None:
    """Refuse a map that ranks nothing or not everywhere.

    Args:
        path: of the map, or its frame, for the message.
        score: `(H, W)` float.

    Raises:
        DataError: a score is NaN or infinite, or all are equal.
    """
    low, high = _extremes(score)
    if not (np.isfinite(low) and np.isfinite(high)):
        nan, infinite = int(np.isnan(score).sum()), int(np.isinf(score).sum())
        half = " float16 ends at 65504: `export submission` maps scores into it."
        msg = (
            f"{path}: {nan} of {score.size} scores are NaN and {infinite} infinite; every pixel "
            "needs a finite number. Look for a division by zero or an overflow in the detector."
            + (half if score.dtype == np.float16 and infinite else "")
        )
        raise DataError(msg)
    if low == high:
        msg = (
            f"{path} is constant: all {score.size} scores are {float(low):g}, which ranks nothing. "
            "Check that the detector ran on this frame and that the right array was saved."
        )
        raise DataError(msg)


def _extremes(score: np.ndarray) -> tuple[Any, Any]:
    """Return minimum and maximum, NaN where any is; halves as wider floats, which is faster."""
    wide = score.astype(np.float32) if score.dtype == np.float16 else score
    return wide.min(), wide.max()
