"""What a model takes as an image: files, PIL images, arrays and tensors become one kind of tensor.

Floats must lie in 0..1. On the CPU that is checked before anything is scored. On an accelerator a
check would make the host wait for the device, so `extremes` only starts the search there, and
`require_range` reads the two numbers after the scores were copied, when nothing is left to wait
for.
"""

from __future__ import annotations

from pathlib import Path, PurePath

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from roadanomaly.data.images import read_image
from roadanomaly.errors import DataError

ImageLike = str | PurePath | Image.Image | np.ndarray | Tensor

LOWEST, HIGHEST = -0.05, 1.05
"""What is taken for 0..1: resizing with a cubic kernel overshoots a little."""

ROUNDING = 1e-3
"""How far half precision moves these two."""


def as_tensor(image: ImageLike) -> Tensor:
    """Turn what users hold in their hands into `(3, H, W)` float32 in 0..1.

    Files and PIL images are read upright, as their EXIF orientation says.

    Raises:
        DataError: not an image, one without a pixel, an array of another shape or type, a PIL image
            whose numbers do not say what is white, or floats on the CPU that do not lie in 0..1
            (on an accelerator `require_range` finds these).
    """
    if isinstance(image, (str, PurePath)):
        return read_image(Path(image)).float() / 255
    if isinstance(image, Image.Image):
        image = _from_pillow(image)
    elif isinstance(image, np.ndarray):
        image = _from_array(image)
    if not isinstance(image, Tensor):
        raise _no_image(image)
    _require_dense(image)
    return _in_range(image)


def _no_image(given: object) -> DataError:
    """Say what to give instead of a value of another type."""
    what = "None" if given is None else f"a value of type {type(given).__name__}"
    advice = ""
    if isinstance(given, (bytes, bytearray)):
        advice = " Bytes of a file are opened by PIL.Image.open(io.BytesIO(...))."
    elif isinstance(given, (list, tuple)):
        advice = " Several images are given one by one."
    msg = (
        f"{what} is no image. Give a path, a PIL image, a uint8 RGB array (H, W, 3), or a tensor "
        f"(3, H, W), uint8 or float in 0..1.{advice}"
    )
    return DataError(msg)


def _from_array(array: np.ndarray) -> Tensor:
    if array.ndim != 3 or array.shape[2] != 3 or array.dtype != np.uint8:
        msg = f"an image array must be (H, W, 3) uint8 RGB, not {array.shape} {array.dtype}."
        raise DataError(msg)
    return torch.from_numpy(np.array(array)).permute(2, 0, 1)


def _require_dense(image: Tensor) -> None:
    """Refuse tensors whose pixels do not lie one beside the other in the memory of a device.

    Raises:
        DataError: says which kind it is, and what makes a usual one of it.
    """
    if image.device.type == "meta":
        what, advice = "on the device meta, which holds no values", "the tensor with its values"
    elif image.is_nested:
        what, advice = "nested", "each of its images, one by one"
    elif image.is_quantized:
        what, advice = "quantised", "tensor.dequantize()"
    elif image.layout is not torch.strided:
        what, advice = f"of the layout {image.layout}", "tensor.to_dense()"
    else:
        return
    msg = f"an image tensor must be dense, on a CPU or an accelerator, not {what}; give {advice}."
    raise DataError(msg)


def _in_range(image: Tensor) -> Tensor:
    """Return float32 in 0..1 of an image tensor; raises as `as_tensor` does."""
    if image.dim() != 3 or image.shape[0] != 3:
        msg = f"an image tensor must be (3, H, W), not {tuple(image.shape)}."
        raise DataError(msg)
    if not image.numel():
        height, width = image.shape[1:]
        msg = (
            f"an image must have at least one pixel, but this one is {width}×{height} "
            "(width×height). Look where it was cut or made."
        )
        raise DataError(msg)
    if image.dtype == torch.uint8:
        return image.float() / 255
    if not image.is_floating_point():
        msg = f"an image tensor must be uint8, or float in 0..1, not {image.dtype}."
        raise DataError(msg)
    if image.device.type == "cpu":
        require_range(_extremes(image))
    return image.float()


def _from_pillow(image: Image.Image) -> Tensor:
    """Return `(3, H, W)`, uint8, or float32 of an image of floats; Pillow would clip these."""
    try:
        upright = ImageOps.exif_transpose(image)
        if not upright.mode.startswith(("F", "I")):
            return _from_array(np.asarray(upright.convert("RGB")))
    except (OSError, ValueError, SyntaxError) as error:
        msg = (
            f"the PIL image (mode {image.mode}) cannot be read ({error}): its file is damaged, or "
            'it has no RGB. Open it again, or give image.convert("RGB").'
        )
        raise DataError(msg) from error
    grey = np.asarray(upright)
    plane = grey if upright.mode == "F" else _upper_bits(grey, upright.mode)
    return torch.from_numpy(np.repeat(plane[None], 3, axis=0))


def _upper_bits(grey: np.ndarray, mode: str) -> np.ndarray:
    """Return `(H, W)` uint8: of 16 bits the upper ones, as of files.

    Raises:
        DataError: numbers of 32 bits that may as well be those of 8, or are of more than 16.
    """
    if mode == "I" and grey.any():
        low, high = int(grey.min()), int(grey.max())
        if low < 0 or high < 256 or high > 65535:
            msg = (
                f"a PIL image of mode I whose values reach from {low} to {high} does not say what "
                'is white. Give 8 bits, by image.convert("L") where white is 255, or 16 bits, by '
                'Image.fromarray(np.asarray(image).astype("uint16")) where it is 65535.'
            )
            raise DataError(msg)
    return (grey >> 8).astype(np.uint8)


def extremes(image: Tensor) -> Tensor | None:
    """Begin to look for the least and greatest value of an image on an accelerator.

    Args:
        image: as `as_tensor` gives it; one on the CPU was checked there.

    Returns:
        `(2,)` float32 on the image's device, which nobody has waited for; None of the CPU.
    """
    return None if image.device.type == "cpu" else _extremes(image)


def _extremes(image: Tensor) -> Tensor:
    return torch.stack(image.detach().aminmax()).float()


def require_range(found: Tensor | None) -> None:
    """Refuse values that cannot be those of an image in 0..1; NaN is among them.

    Args:
        found: `(2,)` least and greatest value; None passes.

    Raises:
        DataError: says what to give instead.
    """
    if found is None:
        return
    low, high = found.tolist()
    if low >= LOWEST - ROUNDING and high <= HIGHEST + ROUNDING:
        return
    what = f"an image of floats must lie in 0..1, but this one reaches from {low:g} to "
    if not (np.isfinite(low) and np.isfinite(high)):
        advice = "it holds NaN or infinite values: look where they come from."
    elif low < LOWEST:
        advice = (
            "it was normalised by mean and deviation, it seems. Give it as it was before that "
            "(divide by 255, or give uint8): each segmenter normalises by itself."
        )
    else:
        advice = "divide by 255, or give uint8."
    msg = f"{what}{high:g}: {advice}"
    raise DataError(msg)
