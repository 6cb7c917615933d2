"""Layers of discrepancy networks: correlation, encoders of labels and priors, decoder blocks."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from roadanomaly.generators.spade import Modulation


def correlation(one: Tensor, other: Tensor) -> Tensor:
    """Return the inner product of two feature vectors at each pixel, `(B, 1, h, w)`.

    Divided by the number of channels, which keeps maps of any width in one range.
    """
    return (one * other).mean(1, keepdim=True)


def fit_size(x: Tensor, size: torch.Size) -> Tensor:
    """Bring `(B, C, h, w)` to a size bilinearly, where it is another."""
    if x.shape[-2:] == size:
        return x
    return functional.interpolate(x, size=tuple(size), mode="bilinear")


class Pyramid(nn.Module):
    """A plain convolutional encoder: 7x7, then 3x3 at each coarser level, SELU between.

    Args:
        channels: of the input.
        widths: of the maps, from fine to coarse.
        strides: of the maps.
    """

    def __init__(self, channels: int, widths: Sequence[int], strides: Sequence[int]) -> None:
        super().__init__()
        steps = [strides[0], *(coarse // fine for fine, coarse in pairwise(strides))]
        inputs = [channels, *widths[:-1]]
        self.levels = nn.ModuleList(
            nn.Conv2d(entering, width, kernel, stride=step, padding=kernel // 2)
            for entering, width, step, kernel in zip(
                inputs, widths, steps, [7] + [3] * (len(widths) - 1), strict=True
            )
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return one map a level."""
        found = []
        for level in self.levels:
            x = functional.selu(level(x))
            found.append(x)
        return found


class PlainBlock(nn.Module):
    """Two 3x3 convolutions, each with SELU."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor, layout: Tensor) -> Tensor:
        """Map `(B, channels, h, w)` to `(B, width, h, w)`; the labels are not looked at."""
        del layout
        return functional.selu(self.second(functional.selu(self.first(x))))


class ModulatedBlock(nn.Module):
    """The same with SPADE after each convolution: normalised, then modulated by the labels."""

    def __init__(self, channels: int, width: int, classes: int, hidden: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.norms = nn.ModuleList(Modulation(width, classes, hidden, "batch") for _ in range(2))

    def forward(self, x: Tensor, layout: Tensor) -> Tensor:
        """Map `(B, channels, h, w)` to `(B, width, h, w)` under a layout of any size."""
        for convolve, norm in zip((self.first, self.second), self.norms, strict=True):
            x = functional.selu(norm(convolve(x), layout))
        return x


def initialise(module: nn.Module) -> None:
    """Draw the weights of convolutions as SELU wants them: variance 1 / fan-in."""
    for layer in module.modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="linear")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
