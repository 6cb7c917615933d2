"""Convolutional encoders and decoders that several reconstructing detectors share."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

SLOPE = 0.2


class Down(nn.Module):
    """Halves the sides level by level: at each a 3x3 convolution of stride 2, BatchNorm, ReLU.

    Args:
        inputs: channels of the image.
        widths: channels of the levels, from fine to coarse.
    """

    def __init__(self, inputs: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.levels = nn.ModuleList(
            _convolved(before, after, 2) for before, after in pairwise([inputs, *widths])
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return one map a level."""
        found = []
        for level in self.levels:
            x = level(x)
            found.append(x)
        return found


class Encoder(nn.Sequential):
    """The code of an image: down, level by level, and a 1x1 convolution.

    Args:
        widths: channels of the levels, from fine to coarse.
        bottleneck: channels of the code.
    """

    def __init__(self, widths: Sequence[int], bottleneck: int) -> None:
        super().__init__(Down(3, widths), nn.Conv2d(widths[-1], bottleneck, 1))

    def forward(self, image: Tensor) -> Tensor:
        """Map `(B, 3, H, W)` in 0..1 to `(B, bottleneck, h, w)`."""
        down, squeeze = self
        code: Tensor = squeeze(down(image - 0.5)[-1])
        return code


class Up(nn.Module):
    """Doubles the sides level by level, and paints.

    Args:
        inputs: channels of the code.
        widths: channels of the levels, from coarse to fine.
        outputs: channels that are painted, without a nonlinearity.
        skips: channels that join at each level, from coarse to fine; () for none.
    """

    def __init__(
        self, inputs: int, widths: Sequence[int], outputs: int, skips: Sequence[int] = ()
    ) -> None:
        super().__init__()
        joined = list(skips) or [0] * len(widths)
        self.levels = nn.ModuleList(
            _convolved(before + more, after)
            for (before, after), more in zip(pairwise([inputs, *widths]), joined, strict=True)
        )
        self.paint = nn.Conv2d(widths[-1], outputs, 3, padding=1)

    def forward(self, x: Tensor, skips: Sequence[Tensor] = ()) -> Tensor:
        """Map `(B, inputs, h, w)` to `(B, outputs, 2^n h, 2^n w)`."""
        for number, level in enumerate(self.levels):
            x = functional.interpolate(x, scale_factor=2.0, mode="bilinear")
            if skips:
                x = torch.cat([x, skips[number]], 1)
            x = level(x)
        return self.paint(x)


class UNet(nn.Module):
    """Down and up again, each level joined with the encoder's of its size.

    Args:
        inputs: channels that come in; the sides are multiples of `2^(len(widths) - 1)`.
        outputs: channels that are painted, without a nonlinearity.
        widths: channels at full size and at each halving after it.
    """

    def __init__(self, inputs: int, outputs: int, widths: Sequence[int]) -> None:
        super().__init__()
        first, *coarser = widths
        self.first = _convolved(inputs, first)
        self.down = Down(first, coarser)
        back = list(reversed(widths))
        self.up = Up(back[0], back[1:], outputs, back[1:])

    def forward(self, x: Tensor) -> Tensor:
        """Map `(B, inputs, H, W)` to `(B, outputs, H, W)`."""
        fine = self.first(x)
        maps = [fine, *self.down(fine)]
        return self.up(maps[-1], list(reversed(maps[:-1])))


def _convolved(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.LeakyReLU(SLOPE),
    )
