"""A small network that judges every cell of one frozen map by itself."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from roadanomaly.types import NEGATIVE, is_inlier


def pixel_mlp(inputs: int, widths: Sequence[int], slope: float = 0.0) -> nn.Sequential:
    """Return 1x1 convolutions with a leaky ReLU between them.

    Args:
        inputs: channels of the map.
        widths: of the layers, the last one's answer among them.
        slope: of the ReLU below 0.
    """
    layers: list[nn.Module] = []
    for width in widths:
        layers += [nn.Conv2d(inputs, width, 1), nn.LeakyReLU(slope)]
        inputs = width
    return nn.Sequential(*layers[:-1])


def sides(label: Tensor) -> tuple[Tensor, Tensor]:
    """Return where a label shows a negative, and where it shows that or an inlier, both bool."""
    negative = label == NEGATIVE
    return negative, negative | is_inlier(label)
