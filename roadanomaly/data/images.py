"""Images and label files in, PNG files out; a broken file is an error, never half an image.

What users bring is read upright, as every viewer shows it: the orientation in EXIF is followed. A
benchmark's frames are read as they are stored (`upright=False`), as the official tools read them.
Labels are always read as they are stored.
"""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from roadanomaly.data.image_arrays import SUFFIXES, decode, read_array, read_whole
from roadanomaly.data.image_arrays import write_image as write_image
from roadanomaly.data.orientation import SIDEWAYS, orientation_in, orientation_of, righted
from roadanomaly.errors import DataError
from roadanomaly.files import files_in

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_INDEXED = b"\x03"


def list_images(folder: Path, *, recursive: bool = False) -> list[Path]:
    """Return the image files of a folder, sorted by path; hidden files are left out."""
    return files_in(folder, SUFFIXES, recursive=recursive)


def read_image(path: str | Path, *, upright: bool = True) -> Tensor:
    """Read an image as `(3, H, W)` uint8 RGB.

    Grey images get three equal channels, transparency is dropped, 16 bits become 8. The tensor is
    a channels-last view of what was decoded, so no pixel is copied unless it is turned.

    Args:
        path: of the file.
        upright: follow the orientation in EXIF; False takes the pixels as they are stored.

    Raises:
        DataError: the file is missing, truncated or no image.
    """
    return to_tensor(read_array(Path(path), upright=upright))


def read_alpha(path: Path) -> np.ndarray | None:
    """Read an image's transparency, `(H, W)` uint8, upright; None where it has none.

    Raises:
        DataError: the file is missing, truncated or no image.
    """
    data = read_whole(path)
    pixels = decode(path, data, cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION)
    if pixels.ndim != 3 or pixels.shape[2] != 4:
        return None
    alpha = pixels[..., 3]
    alpha = alpha if alpha.dtype == np.uint8 else (alpha // 257).astype(np.uint8)
    return righted(alpha, orientation_of(data, path))


def read_label(path: str | Path) -> Tensor:
    """Read a label file as `(H, W)` uint8, the ids as they are stored.

    Indexed PNG gives its indices; grey PNG of 1, 2, 4 or 8 bits its values; 16 bits are taken
    where all values fit into 8; of three equal channels one is taken.

    Raises:
        DataError: the file is missing, truncated, no image, in colours, or holds an id above 255 or
            one that is not whole.
    """
    path = Path(path)
    data = read_whole(path)
    if data.startswith(_PNG) and data[25:26] == _PNG_INDEXED:
        return torch.from_numpy(_indices(path, data))
    flags = cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION
    values = _single_channel(path, decode(path, data, flags))
    if data.startswith(_PNG) and data[24] < 8:
        values = values // (255 // (2 ** data[24] - 1))
    if values.dtype.kind == "f" and not (values == np.floor(values)).all():
        odd = values[values != np.floor(values)][0]
        msg = (
            f"the label {path} holds numbers that are not whole, such as {odd:g}; a label's ids "
            "are whole, 0 to 255. Scores and soft masks are stored like this: cut them at a "
            "threshold, and save 0 and 1 instead."
        )
        raise DataError(msg)
    if values.dtype != np.uint8 and (values.min() < 0 or values.max() > 255):
        msg = (
            f"the label {path} holds ids up to {values.max()}; a label's ids are 0 to 255. "
            "Instance and depth maps are stored like this: give the semantic labels instead."
        )
        raise DataError(msg)
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.uint8))


def image_size(path: Path, *, upright: bool = True) -> tuple[int, int]:
    """Read an image's `(H, W)` without its pixels.

    Args:
        path: of the file.
        upright: as `read_image` takes it.

    Raises:
        DataError: the file is missing or no image.
    """
    try:
        with Image.open(path) as image:
            size = image.height, image.width
            if not upright:
                return size
            png = image.format == "PNG"
            turned = orientation_of(path.read_bytes(), path) if png else orientation_in(image)
            return size[::-1] if turned in SIDEWAYS else size
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError) as error:
        msg = (
            f"{path} cannot be opened as an image ({error}): it is missing, damaged or no image. "
            f"Readable are {', '.join(SUFFIXES)}; download it again."
        )
        raise DataError(msg) from error


def fits_upright(path: Path, size: tuple[int, int]) -> bool:
    """Say whether a size that is written elsewhere is that of the upright picture.

    Args:
        path: of the image.
        size: `(H, W)`, or of the same proportions; where both readings have them, it is upright.

    Raises:
        DataError: the image is missing or no image.
    """
    stored, upright = (image_size(path, upright=way) for way in (False, True))
    off = [abs(np.log(size[0] / size[1] * width / height)) for height, width in (stored, upright)]
    return bool(off[1] <= off[0] + 1e-9)


def to_array(image: Tensor) -> np.ndarray:
    """View `(3, H, W)` as contiguous `(H, W, 3)`; copies only where the memory is not so yet."""
    return np.ascontiguousarray(image.permute(1, 2, 0).numpy())


def to_tensor(array: np.ndarray) -> Tensor:
    """View `(H, W, 3)` as `(3, H, W)`."""
    return torch.from_numpy(array).permute(2, 0, 1)


def check_same_size(image: Tensor, label: Tensor, image_path: Path, label_path: Path) -> None:
    """Refuse a label of another size than its image.

    Raises:
        DataError: names both files and sizes.
    """
    (height, width), (rows, columns) = image.shape[-2:], label.shape
    if (height, width) != (rows, columns):
        msg = (
            f"the image {image_path} is {width}×{height} but its label {label_path} is "
            f"{columns}×{rows} pixels; they must be equal. Take both from the same download, or "
            "cut or resize the label (without interpolation) so that it lies on its image."
        )
        raise DataError(msg + _turned(image, label, image_path))


def _turned(image: Tensor, label: Tensor, path: Path) -> str:
    """Say that a label fits the other reading of a photograph's orientation, if it does."""
    if image.shape[-2:] != label.shape[::-1]:
        return ""
    try:
        stored, upright = (image_size(path, upright=way) for way in (False, True))
    except DataError:
        return ""
    if stored == upright:
        return ""
    if label.shape == stored:
        return (
            " The label fits only the pixels as they are stored: the photograph is turned upright "
            "as its EXIF orientation says, and the label was drawn without that. Turn the labels, "
            "or read the images as stored: of the set `folder` by --data.upright false."
        )
    return (
        " The label fits only the upright photograph, but the frames are read as they are stored, "
        "without their EXIF orientation. Of the set `folder` leave out --data.upright false; of a "
        "benchmark take the files as they were published."
    )


def _indices(path: Path, data: bytes) -> np.ndarray:
    try:
        return np.array(Image.open(io.BytesIO(data)), dtype=np.uint8)
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        msg = f"the label {path} is damaged ({error}): download or copy it again."
        raise DataError(msg) from error


def _single_channel(path: Path, values: np.ndarray) -> np.ndarray:
    if values.ndim == 2:
        return values
    colours = values[..., :3]
    if (colours == colours[..., :1]).all():
        return colours[..., 0]
    msg = (
        f"the label {path} is a colour image; a label has one channel whose values are ids. "
        "Give the id files (in Cityscapes `*_labelIds.png`, not `*_color.png`)."
    )
    raise DataError(msg)
