"""What every encoder is: images in, a pyramid of feature maps out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from roadanomaly.errors import OptionError
from roadanomaly.segmenters.probed import freeze_unread

SMALLEST = 32
"""Pixels a side that an image has at least."""

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Encoder(nn.Module, ABC):
    """Feature maps of images, from fine to coarse. Whether it learns is its user's business.

    Args:
        channels: of each map.
        strides: of each map: image pixels per pixel of the map.
        mean: of RGB in 0..1, subtracted inside.
        std: divides after that.
        weights: which weights these are, for records.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        channels: Sequence[int],
        strides: Sequence[int],
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        weights: str = "none",
    ) -> None:
        super().__init__()
        self.channels = tuple(channels)
        self.strides = tuple(strides)
        self.weights = weights
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)

    @abstractmethod
    def maps(self, image: Tensor) -> list[Tensor]:
        """Compute the maps of normalised images; see `forward`."""

    @abstractmethod
    def options(self) -> dict[str, Any]:
        """Return the constructor options that rebuild this encoder, weights aside."""

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return the maps, from fine to coarse.

        Args:
            image: `(B, 3, H, W)` float in 0..1, RGB, sides of at least 32.

        Returns:
            one map `(B, channels[i], h, w)` a level, `h` and `w` near `H / strides[i]`,
            `W / strides[i]`.

        Raises:
            OptionError: a smaller image.
        """
        height, width = image.shape[-2:]
        if min(height, width) < SMALLEST:
            msg = f"an encoder takes images of at least {SMALLEST}x{SMALLEST}; {height}x{width}."
            raise OptionError(msg)
        return self.maps((image - self.mean) / self.std)

    def learn(self) -> None:
        """Let the parameters learn that the maps rest on, and no others.

        A network may go on behind the last map; no loss could reach that part.
        """
        self.requires_grad_(True)
        side, training = max(SMALLEST, *self.strides), self.training
        self.eval()
        with torch.enable_grad():
            maps = self(torch.zeros(1, 3, side, side, device=self.mean.device))
        self.train(training)
        freeze_unread(self, maps)

    def record(self) -> dict[str, Any]:
        """Return options, and where the weights come from."""
        return {**self.options(), "weights": self.weights}
