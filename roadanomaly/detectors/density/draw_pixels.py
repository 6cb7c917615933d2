"""Random places among labelled pixels."""

from __future__ import annotations

import torch
from torch import Tensor


def draw_pixels(label: Tensor, count: int, *, balanced: bool) -> Tensor:
    """Draw places among labelled pixels.

    Args:
        label: `(H, W)` int, below 0 where no pixel may be drawn.
        count: of places; fewer if there are fewer pixels.
        balanced: draw equally many of each label that occurs, as far as there are.

    Returns:
        `(N, 2)` rows and columns.
    """
    places = (label >= 0).nonzero()
    if not balanced:
        return places[torch.randperm(len(places))[:count]]
    values = label[places[:, 0], places[:, 1]]
    kinds = values.unique()
    share = -(-count // max(1, len(kinds)))
    parts = []
    for kind in kinds:
        mine = places[values == kind]
        parts.append(mine[torch.randperm(len(mine))[:share]])
    return torch.cat(parts) if parts else places
