"""Go back part of the way to the weights that a fine-tuning started from."""

from __future__ import annotations

import torch
from torch import nn


@torch.no_grad()
def blend(networks: nn.Module, start: nn.Module, share: float) -> None:
    """Move the weights of networks, in place, towards those that they started from.

    Every floating-point parameter and buffer becomes `(1 - share) * learned + share * start`; the
    statistics of BatchNorm are averaged like the weights. What a fine-tuning gains on its own data
    is mostly kept half-way, and what it lost elsewhere mostly comes back: Wortsman et al., 2022,
    Robust fine-tuning of zero-shot models, eq. 1, whose mixing coefficient is `1 - share`.

    Args:
        networks: as they were learned.
        start: of the same layers.
        share: of the start, 0 to 1.

    Raises:
        KeyError: the two differ in their layers.
    """
    begun = start.state_dict()
    for name, value in networks.state_dict().items():
        if value.is_floating_point():
            value.lerp_(begun[name].to(value), share)
