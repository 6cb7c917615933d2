"""Where the cells of a map lie in the frame, and the code of a place: sines and cosines of it."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from roadanomaly.types import Segmentation


def places_in_frame(
    segmentation: Segmentation, cells: Tensor, *, aligned: bool = False
) -> tuple[Tensor, Tensor]:
    """Return where in its frame the middle of each row and column of cells lies, in shares of it.

    Args:
        segmentation: of whole frames, or of crops whose places are known.
        cells: `(B, C, h, w)`, a map of them that covers their padding too.
        aligned: whether the map's corner cells lie on corner pixels, not half a cell inside.

    Returns:
        `(B, h)` and `(B, w)` float32, 0..1 within the frame; with B 1 where all are whole frames.
    """
    height, width = (
        _middles(_numbers(count, cells), padded, own, aligned=aligned)
        for count, padded, own in zip(
            cells.shape[-2:], segmentation.padded, segmentation.size, strict=True
        )
    )
    if segmentation.places is None:
        return height[None], width[None]
    top, left, bottom, right = segmentation.places.T[..., None]
    return top + (bottom - top) * height, left + (right - left) * width


def _middles(numbers: Tensor, padded: int, own: int, *, aligned: bool) -> Tensor:
    """Return where the middles of a line's cells lie, in shares of the image's own pixels."""
    count = len(numbers)
    if aligned and count > 1:
        return (numbers * ((padded - 1) / (count - 1)) + 0.5) / own
    return (numbers + 0.5) * (padded / (count * own))


def position_code(cells: Tensor, channels: int) -> Tensor:
    """Return the code of the rows and columns of a map, by their numbers; see `place_code`.

    Args:
        cells: `(B, C, h, w)`, of whose grid and device the code is.
        channels: a multiple of 4.

    Returns:
        `(1, channels, h, w)` float32.
    """
    rows, columns = (_numbers(count, cells)[None] for count in cells.shape[-2:])
    return place_code(rows, columns, channels)


def place_code(rows: Tensor, columns: Tensor, channels: int) -> Tensor:
    """Return sines and cosines of rows, then of columns, a half of the channels each.

    Args:
        rows: `(B, h)`, the number of each row, whole or not.
        columns: `(B, w)`, that of each column.
        channels: a multiple of 4.

    Returns:
        `(B, channels, h, w)` float32.

    Source: Vaswani et al., 2017, Attention Is All You Need, section 3.5, in two dimensions.
    """
    quarter = channels // 4
    numbers = torch.arange(quarter, device=rows.device)
    rate = torch.exp(-math.log(10000.0) / quarter * numbers)[:, None]
    row, column = (one[:, None] * rate for one in (rows, columns))
    shape = (-1, -1, rows.shape[1], columns.shape[1])
    down = torch.cat([row.sin(), row.cos()], 1)[..., None].expand(shape)
    across = torch.cat([column.sin(), column.cos()], 1)[:, :, None].expand(shape)
    return torch.cat([down, across], 1)


def _numbers(count: int, cells: Tensor) -> Tensor:
    return torch.arange(count, device=cells.device, dtype=torch.float32)
