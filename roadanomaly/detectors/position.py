"""The code of a place in a map: sines and cosines of its row and column."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def position_code(cells: Tensor, channels: int) -> Tensor:
    """Return sines and cosines of rows, then of columns, a half of the channels each.

    Args:
        cells: `(B, C, h, w)`, of whose grid and device the code is.
        channels: a multiple of 4.

    Returns:
        `(1, channels, h, w)` float32.

    Source: Vaswani et al., 2017, Attention Is All You Need, section 3.5, in two dimensions.
    """
    quarter = channels // 4
    rate = torch.exp(-math.log(10000.0) / quarter * torch.arange(quarter, device=cells.device))
    height, width = cells.shape[-2:]
    row = torch.arange(height, device=cells.device)[:, None] * rate
    column = torch.arange(width, device=cells.device)[:, None] * rate
    rows = torch.cat([row.sin(), row.cos()], 1).T[:, :, None].expand(-1, height, width)
    columns = torch.cat([column.sin(), column.cos()], 1).T[:, None].expand(-1, height, width)
    return torch.cat([rows, columns])[None]
