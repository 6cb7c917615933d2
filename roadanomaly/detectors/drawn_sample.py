"""What a generative detector draws out of nothing, as a picture beside its maps."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

LARGEST = (128, 256)
"""Height and width of the picture at most."""

SEED = 0


def drawn_sample(
    draw: Callable[[int, int, torch.Generator], Tensor], image: Tensor, stride: int = 1
) -> dict[str, Tensor]:
    """Return a sample under its title, the same in every call: those of a training compare.

    Args:
        draw: takes height, width and a generator on the CPU, the one source of chance; returns one
            picture, `(1, 3, h, w)` float in 0..1, of that size or another.
        image: `(B, 3, H, W)`, of whose size the sample is, but for `LARGEST`.
        stride: what both sides are made multiples of.

    Returns:
        `sample`, `(B, 3, h, w)` in 0..1.
    """
    sides = (min(side, most) for side, most in zip(image.shape[-2:], LARGEST, strict=True))
    height, width = (max(1, side // stride) * stride for side in sides)
    with torch.no_grad():
        drawn = draw(height, width, torch.Generator().manual_seed(SEED))
    return {"sample": drawn.float().clamp(0, 1).expand(len(image), -1, -1, -1)}


def tiled(squares: Tensor, columns: int) -> Tensor:
    """Put squares `(N, C, s, s)` side by side, row by row, `(1, C, N / columns s, columns s)`."""
    rows = [torch.cat(list(row), -1) for row in squares.split(columns)]
    return torch.cat(rows, -2)[None]
