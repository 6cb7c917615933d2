"""The small convolutional network inside a coupling."""

from __future__ import annotations

from torch import nn


def from_zero(convolution: nn.Conv2d) -> nn.Conv2d:
    """Return a convolution with its weights and bias at 0: what it parametrises starts idle."""
    nn.init.zeros_(convolution.weight)
    assert convolution.bias is not None
    nn.init.zeros_(convolution.bias)
    return convolution


def convolutions(
    inputs: int, outputs: int, hidden: int, *, bottleneck: int = 0, kernel: int = 3
) -> nn.Sequential:
    """Return a network whose last layer starts at 0, so that a coupling starts as the identity.

    Args:
        inputs: channels that it reads.
        outputs: channels that it returns.
        hidden: channels inside.
        bottleneck: channels that all information must squeeze through in the middle; 0 for none.
            With few, a coupling cannot copy what it reads (Kirichenko et al., 2020, section 6).
        kernel: side of the first and the last convolution; the middle is 1x1.

    Source: Kingma and Dhariwal, 2018, Glow, section 4.
    """
    middle = (
        [nn.Conv2d(hidden, bottleneck, 1), nn.Conv2d(bottleneck, hidden, 1)]
        if bottleneck
        else [nn.Conv2d(hidden, hidden, 1)]
    )
    last = from_zero(nn.Conv2d(hidden, outputs, kernel, padding=kernel // 2))
    first = nn.Conv2d(inputs, hidden, kernel, padding=kernel // 2)
    return nn.Sequential(first, nn.ReLU(), *middle, nn.ReLU(), last)
