"""What a model takes as an image: files, PIL images, arrays and tensors become one kind of tensor.

Floats must lie in 0..1. On the CPU that is checked before anything is scored. On an accelerator a
check would make the host wait for the device, so `extremes` only starts the search there, and
`require_range` reads the two numbers after the scores were copied, when nothing is left to wait
for.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from roadanomaly.data.images import read_image
from roadanomaly.errors import DataError

ImageLike = str | Path | Image.Image | np.ndarray | Tensor

LOWEST, HIGHEST = -0.05, 1.05
"""What is taken for 0..1: resizing with a cubic kernel overshoots a little."""

ROUNDING = 1e-3
"""How far half precision moves these two."""


def as_tensor(image: ImageLike) -> Tensor:
    """Turn what users hold in their hands into `(3, H, W)` float32 in 0..1.

    Files and PIL images are read upright, as their EXIF orientation says.

    Raises:
        DataError: not an image, an array of another shape or type, or floats on the CPU that do
            not lie in 0..1 (on an accelerator `require_range` finds these).
    """
    if isinstance(image, (str, Path)):
        return read_image(Path(image)).float() / 255
    if isinstance(image, Image.Image):
        image = _eight_bits(ImageOps.exif_transpose(image))
    if isinstance(image, np.ndarray):
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            msg = f"an image array must be (H, W, 3) uint8 RGB, not {image.shape} {image.dtype}."
            raise DataError(msg)
        image = torch.from_numpy(np.array(image)).permute(2, 0, 1)
    if image.dim() != 3 or image.shape[0] != 3:
        msg = f"an image tensor must be (3, H, W), not {tuple(image.shape)}."
        raise DataError(msg)
    if image.dtype == torch.uint8:
        return image.float() / 255
    if not image.is_floating_point():
        msg = f"an image tensor must be uint8, or float in 0..1, not {image.dtype}."
        raise DataError(msg)
    if image.device.type == "cpu":
        require_range(_extremes(image))
    return image.float()


def _eight_bits(image: Image.Image) -> np.ndarray:
    """Return `(H, W, 3)` uint8; of 16 bits the upper ones, as of files, where Pillow clips."""
    if image.mode.startswith("I;16"):
        upper = (np.asarray(image) >> 8).astype(np.uint8)
        return np.repeat(upper[..., None], 3, axis=2)
    return np.asarray(image.convert("RGB"))


def extremes(image: Tensor) -> Tensor | None:
    """Begin to look for the least and greatest value of an image on an accelerator.

    Args:
        image: as `as_tensor` gives it; one on the CPU was checked there.

    Returns:
        `(2,)` float32 on the image's device, which nobody has waited for; None of the CPU.
    """
    return None if image.device.type == "cpu" else _extremes(image)


def _extremes(image: Tensor) -> Tensor:
    if not image.numel():
        return torch.zeros(2, device=image.device)
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
    what = f"an image tensor of floats must lie in 0..1, but this one reaches from {low:g} to "
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
