"""BatchNorm layers that keep their statistics while the network around them learns."""

from __future__ import annotations

from torch import nn


def hold_statistics(network: nn.Module) -> None:
    """Put the BatchNorm layers of a network into inference mode; its other layers stay."""
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()
