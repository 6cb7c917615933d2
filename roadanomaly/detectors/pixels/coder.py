"""What a lossless coder takes for squares of an image."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor

from roadanomaly.types import as_grey_levels


def coder_bits(squares: Tensor) -> Tensor:
    """Return the bits per dimension of squares as PNG at compression 9.

    What a square of one colour takes is left out: a head and a foot that would outweigh the content
    of a small square. So this is not negative but for what the coder's tables save, and 0 for one
    colour.

    Args:
        squares: `(N, 3, h, w)` float in 0..1.

    Returns:
        `(N,)` float32, on the device of the squares.
    """
    levels = as_grey_levels(squares).permute(0, 2, 3, 1).cpu().numpy()
    empty = _size(np.zeros_like(levels[0])) if len(levels) else 0
    sizes = [8 * (_size(one) - empty) / one.size for one in levels]
    return torch.tensor(sizes, dtype=torch.float32, device=squares.device)


def _size(pixels: np.ndarray) -> int:
    _, code = cv2.imencode(".png", pixels[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9])
    return len(code)
