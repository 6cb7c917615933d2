"""Which way up a photograph is: what EXIF says of its stored pixels, and the turn that rights them.

Cameras store the sensor's rows and write beside them how the picture is to be turned. The eight
values are those of the EXIF standard (tag 0x0112); TIFF files are turned by every decoder alike.
"""

from __future__ import annotations

import io
import struct

import numpy as np
from PIL import Image, UnidentifiedImageError

from roadanomaly.errors import DataError

UPRIGHT = 1
"""The orientation of pixels that are stored as they are seen."""

SIDEWAYS = frozenset({5, 6, 7, 8})
"""Orientations whose stored rows are the columns of the picture."""

_TAG = 0x0112
_MIRRORED = frozenset({2, 4, 5, 7})
_QUARTERS = {3: 2, 4: 2, 5: 3, 6: 3, 7: 1, 8: 1}
_PNG_SAYS = (b"eXIf", b"Raw profile type", b"XML:com.adobe.xmp")
"""What a PNG with an orientation holds. Pillow decodes all pixels of one without, to look behind
them, which takes as long again as reading the picture."""
_BROKEN = (UnidentifiedImageError, OSError, SyntaxError, ValueError, KeyError, struct.error)


def orientation_of(data: bytes, name: object) -> int:
    """Return the EXIF orientation of an image file, 1 to 8; 1 where it says nothing sensible.

    Args:
        data: the whole file; a PNG may say it behind the pixels.
        name: of the file, for the message.

    Raises:
        DataError: it has more pixels than are opened.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            silent = image.format == "PNG" and not any(word in data for word in _PNG_SAYS)
            return UPRIGHT if silent else orientation_in(image)
    except Image.DecompressionBombError as error:
        msg = f"{name} is too large ({error}); make it smaller."
        raise DataError(msg) from error
    except _BROKEN:
        return UPRIGHT


def orientation_in(image: Image.Image) -> int:
    """Return the EXIF orientation of an opened image, 1 to 8."""
    if image.format == "TIFF":
        return UPRIGHT
    try:
        found = image.getexif().get(_TAG, UPRIGHT)
    except _BROKEN:
        return UPRIGHT
    return found if found in _QUARTERS or found in _MIRRORED else UPRIGHT


def righted(array: np.ndarray, orientation: int) -> np.ndarray:
    """Turn stored pixels, `(H, W)` or `(H, W, C)`, upright; a copy only where they are turned."""
    turned = np.rot90(array, _QUARTERS.get(orientation, 0))
    if orientation in _MIRRORED:
        turned = turned[:, ::-1]
    return np.ascontiguousarray(turned)
