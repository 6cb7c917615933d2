"""The network that watches a segmenter: the image, and the segmenter's maps at each scale."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

WIDEST = 4
"""Most that a coarser level is wider than the finest by."""


class Observer(nn.Module):
    """An encoder of the image that takes in a segmenter's maps, and a decoder with skips.

    From fine to coarse, `x_i = relu(BN(conv(x_{i-1})) + BN(P_i f_i))` at the size of the map `f_i`,
    with 1x1 convolutions `P_i`; class probabilities join at the finest. From coarse to fine, 3x3
    convolutions of `x_i` and what came from the coarser level, added.

    Args:
        channels: of the segmenter's maps, from fine to coarse.
        classes: K.
        width: of the finest level; each coarser one has twice as many, and at most 4 times.
    """

    def __init__(self, channels: Sequence[int], classes: int, width: int) -> None:
        super().__init__()
        widths = [width * min(WIDEST, 2**level) for level in range(len(channels))]
        self.stem = nn.Sequential(_convolved(3, width, stride=2), nn.ReLU())
        self.encode = nn.ModuleList(
            _convolved(before, after)
            for before, after in zip([width, *widths[:-1]], widths, strict=True)
        )
        self.take = nn.ModuleList(
            _projected(seen, wide) for seen, wide in zip(channels, widths, strict=True)
        )
        self.predicted = _projected(classes, width)
        self.narrow = nn.ModuleList(
            nn.Conv2d(coarse, fine, 1, bias=False) for fine, coarse in pairwise(widths)
        )
        self.decode = nn.ModuleList(
            nn.Sequential(_convolved(wide, wide), nn.ReLU()) for wide in widths
        )
        self.answer = nn.Conv2d(width, 1, 1)

    def forward(self, image: Tensor, features: Sequence[Tensor], probabilities: Tensor) -> Tensor:
        """Return the logit of an error, `(B, h, w)`, at the size of the finest map.

        Args:
            image: `(B, 3, H, W)` in 0..1, over what the maps cover.
            features: the maps, from fine to coarse.
            probabilities: of the classes, `(B, K, h', w')`.
        """
        x, seen = self.stem(image), []
        for level, feature in enumerate(features):
            size = feature.shape[-2:]
            joined = self.encode[level](_brought(x, size)) + self.take[level](feature)
            if not level:
                joined = joined + self.predicted(_brought(probabilities, size))
            x = joined.relu()
            seen.append(x)
        x = self.decode[-1](seen[-1])
        for level in reversed(range(len(seen) - 1)):
            grown = _brought(self.narrow[level](x), seen[level].shape[-2:])
            x = self.decode[level](seen[level] + grown)
        return self.answer(x)[:, 0]


def _convolved(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
    )


def _projected(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs))


def _brought(values: Tensor, size: torch.Size) -> Tensor:
    if values.shape[-2:] == size:
        return values
    return functional.interpolate(values, size=size, mode="bilinear")
