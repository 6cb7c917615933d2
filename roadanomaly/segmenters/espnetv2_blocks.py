"""The building blocks of ESPNetv2: EESP unit, down-sampler, gated projection, pyramid pooling.

Source: Mehta et al., ESPNetv2: A Light-weight, Power Efficient, and General Purpose Convolutional
Neural Network, CVPR 2019; the pyramid pooling is that of its published segmentation weights.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

BRANCHES = 4
"""Parallel depth-wise convolutions of an EESP unit, and groups of its 1x1 convolutions."""

PYRAMID_SCALES = (2.0, 1.5, 1.0, 0.5, 0.1)
"""Sides at which pyramid pooling convolves, relative to its input."""

SMALLEST_SIDE = 5
"""Pixels below which pyramid pooling shrinks no side."""


class ConvNorm(nn.Module):
    """Convolution without bias that keeps the size (at stride 1), then batch normalisation.

    Args:
        inputs: channels in.
        outputs: channels out.
        kernel: side of the kernel, odd.
        stride: of the convolution.
        groups: of the convolution.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups, bias=False
        )
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, inputs, h, w)` to `(B, outputs, ceil(h / stride), ceil(w / stride))`."""
        return self.norm(self.conv(x))


class ConvNormAct(ConvNorm):
    """`ConvNorm`, then a PReLU with one slope a channel."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__(inputs, outputs, kernel, stride, groups)
        self.act = nn.PReLU(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, inputs, h, w)` to `(B, outputs, ceil(h / stride), ceil(w / stride))`."""
        return self.act(super().forward(x))


class NormAct(nn.Module):
    """Batch normalisation, then a PReLU with one slope a channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.act = nn.PReLU(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape `(B, channels, h, w)`."""
        return self.act(self.norm(x))


def branch_dilations(limit: int) -> list[int]:
    """Dilations of an EESP unit's 3x3 branches, ascending.

    Branch `i` sees `3 + 2 i` pixels, or 3 where that is more than `limit`.

    >>> branch_dilations(9), branch_dilations(7)
    ([1, 2, 3, 4], [1, 1, 2, 3])
    """
    sizes = [3 + 2 * i for i in range(BRANCHES)]
    return sorted((size - 1) // 2 if size <= limit else 1 for size in sizes)


class Eesp(nn.Module):
    """Extremely efficient spatial pyramid unit (section 3.1 of the paper).

    Args:
        inputs: channels in.
        outputs: channels out.
        limit: pixels that its widest branch may see.
        stride: 2 inside a down-sampler, which brings the last activation itself: the unit then
            holds the published slopes, frozen, and does not use them.
    """

    def __init__(self, inputs: int, outputs: int, limit: int, stride: int = 1) -> None:
        super().__init__()
        inner = outputs // BRANCHES
        self.project = ConvNormAct(inputs, inner, 1, groups=BRANCHES)
        self.branches = nn.ModuleList(
            nn.Conv2d(inner, inner, 3, stride, rate, rate, groups=inner, bias=False)
            for rate in branch_dilations(limit)
        )
        self.merge = NormAct(outputs)
        self.expand = ConvNorm(outputs, outputs, 1, groups=BRANCHES)
        self.act = nn.PReLU(outputs)
        self.ends_here = stride == 1
        self.act.requires_grad_(self.ends_here)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, inputs, h, w)` to `(B, outputs, ceil(h / stride), ceil(w / stride))`."""
        projected = self.project(x)
        fused: list[Tensor] = []
        for branch in self.branches:
            seen = branch(projected)
            fused.append(seen + fused[-1] if fused else seen)
        out = self.expand(self.merge(torch.cat(fused, 1)))
        if not self.ends_here:
            return out
        return self.act(out + x if out.shape == x.shape else out)


class DownSampler(nn.Module):
    """Halve the sides by pooling beside a strided EESP unit, reinforced by the input image.

    Args:
        inputs: channels in.
        outputs: channels out.
        limit: pixels that the widest branch of the unit may see.
    """

    def __init__(self, inputs: int, outputs: int, limit: int) -> None:
        super().__init__()
        self.unit = Eesp(inputs, outputs - inputs, limit, stride=2)
        self.reinforce = nn.Sequential(ConvNormAct(3, 3, 3), ConvNorm(3, outputs, 1))
        self.act = nn.PReLU(outputs)

    def forward(self, x: Tensor, image: Tensor) -> Tensor:
        """Halve a map.

        Args:
            x: `(B, inputs, h, w)`.
            image: `(B, 3, ceil(h / 2), ceil(w / 2))`, the network's input pooled to this size.

        Returns:
            `(B, outputs, ceil(h / 2), ceil(w / 2))`.
        """
        halved = torch.cat([halve(x), self.unit(x)], 1)
        return self.act(halved + self.reinforce(image))


def halve(x: Tensor) -> Tensor:
    """Average 3x3 windows at every other pixel; zeros outside count."""
    return functional.avg_pool2d(x, 3, stride=2, padding=1)


class GatedProjection(nn.Module):
    """Encoder skip: 3x3 grouped convolution, each channel weighted by the global average."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.project = ConvNormAct(inputs, outputs, 3, groups=math.gcd(inputs, outputs))
        self.gate = nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, inputs, h, w)` to `(B, outputs, h, w)`."""
        weight = torch.sigmoid(self.gate(x.mean((2, 3), keepdim=True)))
        return self.project(x) * weight


class PyramidPooling(nn.Module):
    """Efficient pyramid pooling: one depth-wise 3x3 convolution at each of five sizes, merged.

    Args:
        inputs: channels in.
        inner: channels of each size, and out.
    """

    def __init__(self, inputs: int, inner: int) -> None:
        super().__init__()
        self.project = ConvNormAct(inputs, inner, 1)
        self.sizes = nn.ModuleList(
            nn.Conv2d(inner, inner, 3, padding=1, groups=inner, bias=False) for _ in PYRAMID_SCALES
        )
        self.merge = NormAct(inner * len(PYRAMID_SCALES))
        self.mix = ConvNormAct(inner * len(PYRAMID_SCALES), inner, 3, groups=inner)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, inputs, h, w)` to `(B, inner, h, w)`."""
        projected = self.project(x)
        seen = [
            _convolve_at(projected, conv, scale)
            for conv, scale in zip(self.sizes, PYRAMID_SCALES, strict=True)
        ]
        merged = self.merge(torch.cat(seen, 1))
        return self.mix(functional.channel_shuffle(merged, len(PYRAMID_SCALES)))


def _convolve_at(x: Tensor, conv: nn.Module, scale: float) -> Tensor:
    size = tuple(x.shape[-2:])
    if scale == 1:
        return conv(x)
    target = tuple(max(SMALLEST_SIDE, math.ceil(side * scale)) for side in size)
    if scale < 1:
        pooled = functional.adaptive_avg_pool2d(x, target)
        return enlarge(conv(pooled), size)
    return functional.adaptive_avg_pool2d(conv(enlarge(x, target)), size)


def enlarge(x: Tensor, size: tuple[int, ...]) -> Tensor:
    """Bring `(B, C, h, w)` to `(B, C, *size)` bilinearly, corner pixels on corner pixels."""
    return functional.interpolate(x, size=size, mode="bilinear", align_corners=True)
