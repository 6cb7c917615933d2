"""The network that compares an image with its resynthesis under the labels it was made from."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from roadanomaly.detectors.resynthesis.parts import (
    ModulatedBlock,
    PlainBlock,
    Pyramid,
    correlation,
    fit_size,
    initialise,
)


class DiscrepancyNetwork(nn.Module):
    """Encoded image, resynthesis and labels, fused at each scale, decoded from coarse to fine.

    Features are brought to mean 0 and deviation 1 of each channel first, by statistics of the
    training stream (not published: an encoder's maps have deviations in the tens, on which a short
    training spends its steps).

    At each scale: features of image, resynthesis and labels go through a 1x1 convolution, are
    multiplied by features of the priors where there are any, and join the correlation of image and
    resynthesis and what came from the coarser scale; two 3x3 convolutions with SELU follow, and a
    transposed convolution that doubles the size.

    Args:
        channels: of the encoder's maps, from fine to coarse.
        strides: of the encoder's maps.
        classes: K.
        width: of the finest decoder block; coarser ones have 2 and at most 4 times that.
        label_width: of the labels' finest map; it doubles with each level, up to 8 times.
        priors: maps that multiply the fused features; 0 for none.
        modulated: whether SPADE layers condition the decoder on the labels.
        hidden: channels inside the SPADE layers.
    """

    def __init__(
        self,
        channels: Sequence[int],
        strides: Sequence[int],
        classes: int,
        *,
        width: int = 64,
        label_width: int = 32,
        priors: int = 0,
        modulated: bool = False,
        hidden: int = 64,
    ) -> None:
        super().__init__()
        widths = [width * min(4, 2**level) for level in range(len(channels))]
        label_widths = [label_width * min(8, 2**level) for level in range(len(channels))]
        self.scales = nn.ModuleList(nn.BatchNorm2d(seen, affine=False) for seen in channels)
        self.labels = Pyramid(classes, label_widths, strides)
        self.priors = Pyramid(priors, widths, strides) if priors else None
        self.fuse = nn.ModuleList(
            nn.Conv2d(2 * seen + known, wide, 1)
            for seen, known, wide in zip(channels, label_widths, widths, strict=True)
        )
        coarser = [*widths[1:], 0]
        entering = [wide + 1 + below for wide, below in zip(widths, coarser, strict=True)]
        self.blocks = nn.ModuleList(
            ModulatedBlock(many, wide, classes, hidden) if modulated else PlainBlock(many, wide)
            for many, wide in zip(entering, widths, strict=True)
        )
        self.grow = nn.ModuleList(
            nn.ConvTranspose2d(wide, wide, 2, stride=2) for wide in widths[1:]
        )
        self.classify = nn.Conv2d(widths[0], 2, 1)
        initialise(self)
        if self.priors is not None:  # the product starts near the fused features themselves
            for level in self.priors.levels:
                assert isinstance(level, nn.Conv2d)
                assert level.bias is not None
                nn.init.ones_(level.bias)

    def forward(
        self,
        image: Sequence[Tensor],
        resynthesis: Sequence[Tensor],
        layout: Tensor,
        priors: Tensor | None = None,
    ) -> Tensor:
        """Return the logits of "explained" and "discrepant", `(B, 2, h, w)`, at the finest map.

        Args:
            image: maps of the image, from fine to coarse.
            resynthesis: maps of the resynthesis.
            layout: `(B, K, H, W)` one-hot labels, at the size that was encoded.
            priors: `(B, M, H, W)` in 0..1.
        """
        labels = self.labels(layout)
        weights = self.priors(priors) if self.priors is not None and priors is not None else None
        x: Tensor | None = None
        for level in reversed(range(len(image))):
            size = image[level].shape[-2:]
            both = self.scales[level](torch.cat([image[level], resynthesis[level]]))
            seen, drawn = both.chunk(2)
            parts = [seen, drawn, fit_size(labels[level], size)]
            fused = self.fuse[level](torch.cat(parts, 1))
            if weights is not None:
                fused = fused * fit_size(weights[level], size)
            joined = [fused, correlation(seen, drawn)]
            if x is not None:
                joined.append(fit_size(self.grow[level](x), size))
            x = self.blocks[level](torch.cat(joined, 1), layout)
        assert x is not None
        return self.classify(x)
