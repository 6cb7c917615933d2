"""Networks that judge what others make, and learn nothing from it."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.func import functional_call


def asked_held(network: nn.Module, *given: Tensor) -> Any:
    """Return what a network answers; a gradient reaches what is given and no parameter.

    Args:
        network: in any mode.
        given: what its `forward` takes.
    """
    fixed = {name: one.detach() for name, one in network.named_parameters()}
    return functional_call(network, fixed, given)
