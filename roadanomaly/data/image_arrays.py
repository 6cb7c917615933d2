"""Images as arrays: read whole, resample, write. No network library is imported here."""

from __future__ import annotations

import io
import logging
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from roadanomaly.data.orientation import orientation_of, righted
from roadanomaly.errors import DataError
from roadanomaly.files import write_bytes

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
"""File name endings that count as an image, in lower case."""

log = logging.getLogger(__name__)

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_END = b"\x00\x00\x00\x00IEND\xaeB`\x82"
_JPEG = b"\xff\xd8\xff"
_TIFF = (b"II*\0", b"MM\0*")
_JPEG_SCAN, _JPEG_END = b"\xff\xda", b"\xff\xd9"
_JPEG_ALONE = (0x01, *range(0xD0, 0xDA))
"""Second bytes of a JPEG's marks that no length follows."""


_BITS = (8, 10, 12, 14)
"""What cameras keep in files of 16 bits."""
_told: list[Path] = []
"""The first picture that was read as too dark; it is told once a process."""


def read_array(path: Path, most_pixels: int | None = None, *, upright: bool = True) -> np.ndarray:
    """Read an image as `(H, W, 3)` uint8 RGB.

    Grey images get three equal channels, transparency is dropped, 16 bits become 8: the upper ones,
    with a warning where they hold next to nothing.

    Args:
        path: of the file.
        most_pixels: that may be in it; asked of its header, before pixels are decoded.
        upright: turn it as its EXIF orientation says; otherwise as it is stored.

    Raises:
        DataError: the file is missing, truncated, no image, or larger than that.
    """
    data = read_whole(path)
    if most_pixels is not None:
        _check_pixels(path, data, most_pixels)
    array = decode(path, data, cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)
    _warn_of_few_bits(path, data, array)
    return righted(array, orientation_of(data, path)) if upright else array


def _warn_of_few_bits(path: Path, data: bytes, array: np.ndarray) -> None:
    """Say once that a picture of 16 bits holds the values of fewer, and is read as very dark.

    It may as well be a dark picture, so nothing is scaled.
    """
    may_have_16 = data[24:25] == b"\x10" if data.startswith(_PNG) else data.startswith(_TIFF)
    if _told or not may_have_16 or array.max() > 1 << (_BITS[-1] - 8):
        return
    values = decode(path, data, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    largest = int(values.max())
    bits = next((one for one in _BITS if largest < 1 << one), None)
    if values.dtype != np.uint16 or not largest or bits is None:
        return
    _told.append(path)
    log.warning(
        "%s has 16 bits, and its largest value is %d of 65535, so it is read as very dark. If "
        "its camera writes %d bits, multiply its values by %d, or save it with 8 bits, and give "
        "that. Further pictures like it are not named.",
        path,
        largest,
        bits,
        1 << (16 - bits),
    )


def _check_pixels(path: Path, data: bytes, most: int) -> None:
    try:
        with Image.open(io.BytesIO(data)) as image:
            width, height = image.size
    except Image.DecompressionBombError as error:
        msg = f"{path} is far too large; give one of at most {most / 1e6:g} million pixels."
        raise DataError(msg) from error
    except (OSError, SyntaxError, ValueError) as error:
        msg = f"{path} cannot be opened as an image ({error}): it is damaged or no image."
        raise DataError(msg) from error
    if width * height > most:
        msg = f"{path} has {width}x{height} pixels; give one of at most {most / 1e6:g} million."
        raise DataError(msg)


def scale_image(array: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resample `(H, W, 3)` to `size`, by area where it shrinks and else linearly; always a copy."""
    if array.shape[:2] == size:
        return array.copy()
    shrinks = size[0] * size[1] < array.shape[0] * array.shape[1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(array, size[::-1], interpolation=how)


def write_image(path: str | Path, array: np.ndarray) -> None:
    """Write a PNG in one step: readers see the old file or the new one, never a part.

    Args:
        path: where to; its folder is made.
        array: `(H, W)` uint8 or uint16, or `(H, W, 3)` uint8 RGB.

    Raises:
        UserError: the folder or file cannot be written.
    """
    stored = np.ascontiguousarray(array if array.ndim == 2 else array[..., ::-1])
    write_bytes(Path(path), cv2.imencode(".png", stored)[1].tobytes())


def read_whole(path: Path) -> bytes:
    """Read an image file's bytes.

    Raises:
        DataError: the file is missing, empty or truncated, or the path can be no file's.
    """
    try:
        data = path.read_bytes()
    except ValueError as error:
        msg = f"{str(path)!r} cannot be the path of a file ({error}). Correct the path."
        raise DataError(msg) from error
    except OSError as error:
        msg = (
            f"cannot read {path}: {error.strerror or error}. Check the path, or download the file "
            "again; `roadanomaly data check` finds every such file of a set."
        )
        raise DataError(msg) from error
    if not data:
        msg = f"{path} is empty. Download or copy it again."
        raise DataError(msg)
    if _is_truncated(data):
        msg = (
            f"{path} is truncated: it ends after {len(data)} bytes without the format's end mark. "
            "Download or copy it again; `roadanomaly data check` finds every such file of a set."
        )
        raise DataError(msg)
    return data


def _is_truncated(data: bytes) -> bool:
    """Look for the end mark, since decoders fill what is missing of a JPEG with grey.

    A JPEG's preview has an end mark too, so one must follow the start of the picture's own scan;
    behind it anything may lie, such as the film of a telephone's "motion photo".
    """
    if data.startswith(_JPEG):
        return data.find(_JPEG_END, _first_scan(data)) < 0
    if data.startswith(_PNG):
        return _PNG_END not in data[-4096:]
    if data.startswith(b"RIFF"):
        return len(data) < 8 + int.from_bytes(data[4:8], "little")
    return False


def _first_scan(data: bytes) -> int:
    """Return where a JPEG's first scan starts, past all that its segments hold; else its end."""
    at = 2
    while 0 <= at < len(data) - 1:
        mark = data[at : at + 2]
        if mark == _JPEG_SCAN:
            return at
        if mark[0] != 0xFF or mark[1] in (0x00, 0xFF):  # no mark, or one that is filled up
            at = data.find(0xFF, at + 1)
        elif mark[1] in _JPEG_ALONE:
            at += 2
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return len(data)


def decode(path: Path, data: bytes, flags: int) -> np.ndarray:
    """Decode an image file's bytes.

    Args:
        path: for messages.
        data: what is in it.
        flags: OpenCV's, how to read.

    Raises:
        DataError: it is damaged or no image, or a TIFF of numbers that are no picture's.
    """
    array = _decoded(data, flags)
    if array is None:
        _refuse_wide_numbers(path, data)
        msg = (
            f"{path} cannot be decoded as an image ({len(data)} bytes): it is damaged or no image. "
            f"Readable are {', '.join(SUFFIXES)}; download it again or take it out of the folder."
        )
        raise DataError(msg)
    return array


def _decoded(data: bytes, flags: int) -> np.ndarray | None:
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        return None


def _refuse_wide_numbers(path: Path, data: bytes) -> None:
    """Say of a TIFF that is whole, but of floats or of wide integers, what it is.

    Raises:
        DataError: it is such a file.
    """
    held = _decoded(data, cv2.IMREAD_UNCHANGED) if data.startswith(_TIFF) else None
    if held is None or held.dtype.itemsize <= 2:
        return
    bits = 8 * held.dtype.itemsize
    floats = held.dtype.kind == "f"
    what = f"a floating-point TIFF ({bits} bits)" if floats else f"a TIFF of {bits}-bit integers"
    how = "times 255 if they lie in 0..1" if floats else "scaled to 0..255 or 0..65535"
    msg = (
        f"{path} is {what}, whose values do not say what is white; images have 8 or 16 bits. "
        f"Save it with 8 or 16 bits, its values {how}."
    )
    raise DataError(msg)
