"""Images and label files in, PNG files out; a broken file is an error, never half an image.

Pixels are taken as they are stored: an orientation in EXIF is ignored, since the labels of a data
set are drawn on the stored pixels.
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
from roadanomaly.errors import DataError
from roadanomaly.files import files_in

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_INDEXED = b"\x03"


def list_images(folder: Path, *, recursive: bool = False) -> list[Path]:
    """Return the image files of a folder, sorted by path; hidden files are left out."""
    return files_in(folder, SUFFIXES, recursive=recursive)


def read_image(path: str | Path) -> Tensor:
    """Read an image as `(3, H, W)` uint8 RGB.

    Grey images get three equal channels, transparency is dropped, 16 bits become 8. The tensor is
    a channels-last view of what was decoded, so no pixel is copied.

    Raises:
        DataError: the file is missing, truncated or no image.
    """
    return to_tensor(read_array(Path(path)))


def read_label(path: str | Path) -> Tensor:
    """Read a label file as `(H, W)` uint8, the ids as they are stored.

    Indexed PNG gives its indices; grey PNG of 1, 2, 4 or 8 bits its values; 16 bits are taken
    where all values fit into 8; of three equal channels one is taken.

    Raises:
        DataError: the file is missing, truncated, no image, in colours, or holds an id above 255.
    """
    path = Path(path)
    data = read_whole(path)
    if data.startswith(_PNG) and data[25:26] == _PNG_INDEXED:
        return torch.from_numpy(_indices(path, data))
    flags = cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION
    values = _single_channel(path, decode(path, data, flags))
    if data.startswith(_PNG) and data[24] < 8:
        values = values // (255 // (2 ** data[24] - 1))
    if values.dtype != np.uint8 and (values.min() < 0 or values.max() > 255):
        msg = (
            f"the label {path} holds ids up to {values.max()}; a label's ids are 0 to 255. "
            "Instance and depth maps are stored like this: give the semantic labels instead."
        )
        raise DataError(msg)
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.uint8))


def image_size(path: Path) -> tuple[int, int]:
    """Read an image's `(H, W)` from its header alone.

    Raises:
        DataError: the file is missing or no image.
    """
    try:
        with Image.open(path) as image:
            return image.height, image.width
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        msg = (
            f"{path} cannot be opened as an image ({error}): it is missing, damaged or no image. "
            f"Readable are {', '.join(SUFFIXES)}; download it again."
        )
        raise DataError(msg) from error


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
        raise DataError(msg)


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
