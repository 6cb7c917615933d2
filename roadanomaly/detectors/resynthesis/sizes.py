"""At which size a part works, and how a large map is computed in tiles."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import sqrt

import torch
from torch import Tensor
from torch.nn import functional


def proportioned(
    size: Sequence[int], image: tuple[int, int], stride: int, least: int
) -> tuple[int, int]:
    """Return the size at which to work on an image: as many pixels, in the image's proportions.

    Args:
        size: height and width that say how many pixels; an image of these proportions gets them.
        image: its height and width.
        stride: the sides of the result are multiples of it.
        least: the sides of the result are at least this.
    """
    factor = sqrt(size[0] * size[1] / (image[0] * image[1]))
    smallest = -(-least // stride)
    sides = [stride * max(smallest, round(side * factor / stride)) for side in image]
    return sides[0], sides[1]


def resize_image(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize `(B, C, h, w)` bilinearly, over the area that a pixel covers where it shrinks."""
    if tuple(image.shape[-2:]) == size:
        return image
    if not image.shape[1]:
        return image.new_zeros(len(image), 0, *size)
    return functional.interpolate(image.float(), size=size, mode="bilinear", antialias=True)


def in_tiles(
    compute: Callable[..., Tensor],
    inputs: Sequence[Tensor],
    tile: int,
    margin: int,
) -> Tensor:
    """Compute a map tile by tile, so that memory is that of a tile.

    Each tile is computed with a margin around it, which is cut off; what lies further from a pixel
    than the margin cannot reach it.

    Args:
        compute: of inputs `(B, C_i, h, w)` a map `(B, C, h / s, w / s)` for some stride s.
        inputs: `(B, C_i, H, W)`, sides multiples of the coarsest stride inside `compute`.
        tile: side of a tile without its margin, a multiple of that; 0 takes the whole at once.
        margin: pixels around a tile, a multiple of that.

    Returns:
        the map of the whole.
    """
    height, width = inputs[0].shape[-2:]
    if not tile or tile >= max(height, width):
        return compute(*inputs)
    rows = []
    for top, bottom, above, below in _spans(height, tile, margin):
        row = []
        for left, right, before, after in _spans(width, tile, margin):
            found = compute(*(one[..., above:below, before:after] for one in inputs))
            scale = (below - above) // found.shape[-2]
            first, last = (top - above) // scale, (bottom - above) // scale
            start, end = (left - before) // scale, (right - before) // scale
            row.append(found[..., first:last, start:end])
        rows.append(torch.cat(row, -1))
    return torch.cat(rows, -2)


def _spans(length: int, tile: int, margin: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield begin and end of each tile along a side, without and with its margin."""
    for begin in range(0, length, tile):
        end = min(length, begin + tile)
        yield begin, end, max(0, begin - margin), min(length, end + margin)
