"""A narrow bottleneck and the decoder that rebuilds the image from it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from roadanomaly.segmenters.base import Segmenter

STRIDE = 16
"""Stride of the feature that is taken where none is named, that of the published backbone."""

RATES = (6, 12, 18)
"""Dilations of the pyramid's 3x3 convolutions, those of DeepLabV3 at stride 16."""


class AtrousPyramid(nn.Module):
    """Convolutions of several dilations and the mean of the map, side by side, then joined.

    Args:
        inputs: channels that come in.
        outputs: channels that go out.
        width: channels of each branch.

    Source: Chen et al., 2017, Rethinking Atrous Convolution, section 3.3. The branch of the map's
    mean has no BatchNorm, so that a batch of one image can be trained on.
    """

    def __init__(self, inputs: int, outputs: int, width: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            [
                _convolved(inputs, width, 1),
                *(_convolved(inputs, width, 3, dilation=rate) for rate in RATES),
            ]
        )
        self.pooled = nn.Sequential(nn.Conv2d(inputs, width, 1), nn.ReLU())
        self.join = nn.Conv2d(width * (len(RATES) + 2), outputs, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Map `(B, inputs, h, w)` to `(B, outputs, h, w)`."""
        mean = self.pooled(features.mean((2, 3), keepdim=True))
        parts = [branch(features) for branch in self.branches]
        return self.join(torch.cat([*parts, mean.expand_as(parts[0])], 1))


class RoadReconstruction(nn.Module):
    """Rebuilds an image from a few channels at the stride of a segmenter's feature.

    Args:
        inputs: channels of the feature.
        stride: image pixels per pixel of the feature; there are `log2(stride)` blocks of twice
            the resolution, rounded.
        bottleneck: channels that everything must pass.
        width: of each branch of the pyramid before the bottleneck.
        widths: channels of the decoder's blocks at strides 8, 4, 2 and 1; of a finer feature the
            last ones are used, of a coarser one the first is repeated.
    """

    def __init__(
        self, inputs: int, stride: int, bottleneck: int, width: int, widths: Sequence[int]
    ) -> None:
        super().__init__()
        self.squeeze = AtrousPyramid(inputs, bottleneck, width)
        count = max(1, round(math.log2(stride)))
        kept = [*[widths[0]] * (count - len(widths)), *widths[-count:]]
        self.blocks = nn.ModuleList(
            nn.Sequential(_convolved(before, after, 3), _convolved(after, after, 3))
            for before, after in zip([bottleneck, *kept], kept, strict=False)
        )
        self.paint = nn.Conv2d(kept[-1], 3, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        """Map `(B, inputs, h, w)` to `(B, 3, h', w')` in 0..1, at about the image's resolution."""
        x = self.squeeze(features)
        for block in self.blocks:
            x = block(functional.interpolate(x, scale_factor=2, mode="bilinear"))
        return self.paint(x).sigmoid()


def _convolved(inputs: int, outputs: int, side: int, dilation: int = 1) -> nn.Sequential:
    margin = dilation * (side // 2)
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, side, padding=margin, dilation=dilation, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


def nearest_feature(segmenter: Segmenter) -> str:
    """Return the widest of the features whose stride is nearest to 16; "" where there is none."""
    known = segmenter.features

    def distance(name: str) -> tuple[float, int]:
        stride = known[name].stride
        return max(stride / STRIDE, STRIDE / stride), -known[name].channels

    return min(known, key=distance, default="")
