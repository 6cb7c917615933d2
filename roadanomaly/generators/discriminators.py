"""Multi-scale patch discriminators: does this patch look real, given its labels?"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from roadanomaly.errors import OptionError

WIDEST = 512
SLOPE = 0.2

Scores = list[list[Tensor]]
"""Of each scale, the maps of its layers; the last is `(B, 1, h, w)`, a score a patch."""


class Discriminators(nn.Module):
    """The discriminators of pix2pixHD (Wang et al., CVPR 2018), which SPADE takes too.

    The same network, with weights of its own, looks at the image at full size, at half of it, and
    so on.

    Args:
        classes: known classes, K.
        width: channels of the first layer.
        layers: with stride 2.
        scales: sizes of the image, each half of the one before.
        spectral: divide each weight by its largest singular value.

    Raises:
        OptionError: a value out of range.
    """

    def __init__(
        self,
        classes: int,
        width: int = 64,
        layers: int = 3,
        scales: int = 2,
        spectral: bool = True,
    ) -> None:
        super().__init__()
        if min(width, layers, scales) < 1:
            msg = (
                "the discriminators' `width`, `layers` and `scales` are at least 1; not "
                f"{width}, {layers} and {scales}."
            )
            raise OptionError(msg)
        self.scales = nn.ModuleList(
            PatchDiscriminator(classes + 4, width, layers, spectral) for _ in range(scales)
        )

    def forward(self, layout: Tensor, image: Tensor) -> Scores:
        """Judge images.

        Args:
            layout: `(B, K + 1, H, W)`, one-hot labels.
            image: `(B, 3, H, W)` float in 0..1.
        """
        x = torch.cat([layout, 2 * image - 1], 1)
        found: Scores = []
        for number, scale in enumerate(self.scales):
            if number:
                x = functional.avg_pool2d(x, 3, 2, padding=1, count_include_pad=False)
            found.append(scale(x))
        return found


class PatchDiscriminator(nn.Module):
    """Convolutions of 4x4 that score overlapping patches; instance normalisation within."""

    def __init__(self, inputs: int, width: int, layers: int, spectral: bool) -> None:
        super().__init__()
        widths = [inputs, *(min(WIDEST, width * 2**level) for level in range(layers + 1)), 1]
        self.layers = nn.ModuleList()
        for level, (before, after) in enumerate(pairwise(widths)):
            convolution = nn.Conv2d(before, after, 4, 2 if level < layers else 1, padding=2)
            nn.init.xavier_normal_(convolution.weight, gain=0.02 if not spectral else 1.0)
            parts: list[nn.Module] = [spectral_norm(convolution) if spectral else convolution]
            if 0 < level <= layers:
                parts.append(nn.InstanceNorm2d(after))
            if level <= layers:
                parts.append(nn.LeakyReLU(SLOPE))
            self.layers.append(nn.Sequential(*parts))

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the maps of all layers."""
        maps = []
        for layer in self.layers:
            x = layer(x)
            maps.append(x)
        return maps
