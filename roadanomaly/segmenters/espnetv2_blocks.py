"""The building blocks of ESPNetv2: EESP unit, down-sampler, gated projection, pyramid pooling.

Source: Mehta et al., ESPNetv2: A Light-weight, Power Efficient, and General Purpose Convolutional
Neural Network, CVPR 2019; the pyramid pooling is that of its published segmentation weights.
"""

from __future__ import annotations

import math
from fractions import Fraction

import torch
from torch import Tensor, nn
from torch.nn import functional

from roadanomaly.segmenters.batch_norms import is_watched
from roadanomaly.segmenters.cpu_layers import DepthwiseConv, PReLU
from roadanomaly.segmenters.resizing import at_least, average, enlarge

BRANCHES = 4
"""Parallel depth-wise convolutions of an EESP unit, and groups of its 1x1 convolutions."""

PYRAMID_SCALES = (2.0, 1.5, 1.0, 0.5, 0.1)
"""Sides at which pyramid pooling convolves, relative to its input."""

SMALLEST_SIDE = 5
"""Pixels below which pyramid pooling shrinks no side."""


class Norm(nn.BatchNorm2d):
    """Batch normalisation whose weights and statistics are there, for the type checker to know."""

    weight: nn.Parameter
    bias: nn.Parameter
    running_mean: Tensor
    running_var: Tensor


def folded(conv: nn.Conv2d, norm: Norm) -> tuple[Tensor, Tensor]:
    """Return weight and bias that do what `norm`, with fixed statistics, does after `conv`.

    Gradients pass through to both. Between the two there may be any linear map of each channel
    that leaves constants alone, as resizing is. Where `settle` has put them into `conv`, they are
    its own.
    """
    if conv.bias is not None:
        return conv.weight, conv.bias
    scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    weight = conv.weight * scale.view(-1, 1, 1, 1)
    return weight, norm.bias - norm.running_mean * scale


class Folding(nn.Module):
    """A convolution without bias whose batch normalisation is folded into it at inference.

    Not where the normalisation learns, or somebody watches what enters it, as adaptation does.
    """

    conv: nn.Conv2d
    norm: Norm

    @property
    def folds(self) -> bool:
        """Whether the two are one now."""
        settled = self.conv.bias is not None
        return settled or not (self.norm.training or is_watched(self.norm))

    @torch.no_grad()
    def settle(self) -> None:
        """Fold it for good, with the statistics as they are; the layer learns no more."""
        weight, bias = folded(self.conv, self.norm)
        self.conv.weight, self.conv.bias = nn.Parameter(weight), nn.Parameter(bias)


class ConvNorm(Folding):
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
        self.norm = Norm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, inputs, h, w)` to `(B, outputs, ceil(h / stride), ceil(w / stride))`."""
        if not self.folds:
            return self.norm(self.conv(x))
        conv = self.conv
        weight, bias = folded(conv, self.norm)
        return functional.conv2d(x, weight, bias, conv.stride, conv.padding, 1, conv.groups)


class ConvNormAct(ConvNorm):
    """`ConvNorm`, then a PReLU with one slope a channel."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__(inputs, outputs, kernel, stride, groups)
        self.act = PReLU(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, inputs, h, w)` to `(B, outputs, ceil(h / stride), ceil(w / stride))`."""
        return self.act(super().forward(x))


class NormAct(nn.Module):
    """Batch normalisation, then a PReLU with one slope a channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = Norm(channels)
        self.act = PReLU(channels)

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
            DepthwiseConv(inner, stride, dilation) for dilation in branch_dilations(limit)
        )
        self.merge = NormAct(outputs)
        self.expand = ConvNorm(outputs, outputs, 1, groups=BRANCHES)
        self.act = PReLU(outputs)
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
        self.act = PReLU(outputs)

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


class PyramidSize(Folding):
    """One size of pyramid pooling: resize, convolve each channel, resize back, normalise.

    Args:
        channels: in and out.
        scale: side at which it convolves, relative to its input.
    """

    def __init__(self, channels: int, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.ratio = Fraction(scale).limit_denominator(100).as_integer_ratio()
        self.conv = DepthwiseConv(channels)
        self.norm = Norm(channels)
        self.act = PReLU(channels)
        self.mix = DepthwiseConv(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return this size's share of the mixed map: `(B, channels, h, w)` to the same."""
        if not self.folds:
            return self.mix(self.act(self.norm(self._convolve(x, self.conv.weight, None))))
        return self.mix(self.act(self._convolve(x, *folded(self.conv, self.norm))))

    def _convolve(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        height, width = x.shape[-2:]
        size = (self._target(height), self._target(width))
        if self.scale > 1:
            x = enlarge(x, size)
        elif self.scale < 1:
            x = average(x, size)
        x = functional.conv2d(x, weight, bias, padding=1, groups=len(weight))
        if self.scale > 1:
            return average(x, (height, width))
        return enlarge(x, (height, width)) if self.scale < 1 else x

    def _target(self, side: int) -> int:
        over, under = self.ratio
        if over == under:
            return side
        # rounded up without negative numbers, whose quotients ONNX Runtime rounds towards 0
        return at_least((side * over + under - 1) // under, SMALLEST_SIDE)


class PyramidPooling(nn.Module):
    """Efficient pyramid pooling: one depth-wise 3x3 convolution at each of five sizes, mixed.

    The published network concatenates the sizes, shuffles the channels and mixes the sizes of
    each channel by a grouped convolution; that is this sum of depth-wise ones.

    Args:
        inputs: channels in.
        inner: channels of each size, and out.
    """

    def __init__(self, inputs: int, inner: int) -> None:
        super().__init__()
        self.project = ConvNormAct(inputs, inner, 1)
        self.sizes = nn.ModuleList(PyramidSize(inner, scale) for scale in PYRAMID_SCALES)
        self.mixed = NormAct(inner)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, inputs, h, w)` to `(B, inner, h, w)`."""
        projected = self.project(x)
        total = self.sizes[0](projected)
        for size in self.sizes[1:]:
            total = total + size(projected)
        return self.mixed(total)
