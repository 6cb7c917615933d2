"""What every segmenter is: images in, logits and named features out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from roadanomaly.errors import FeatureError, OptionError, nearest
from roadanomaly.types import Answer, Masks, Segmentation


@dataclass(frozen=True)
class FeatureInfo:
    """A feature map that a segmenter offers.

    Args:
        channels: its width.
        stride: image pixels per feature pixel.
    """

    channels: int
    stride: int


class Segmenter(nn.Module, ABC):
    """A closed-set semantic segmentation network.

    A subclass computes `maps` on normalised, padded images and fills `features`. Detectors see
    nothing but the `Segmentation` that `forward` returns.

    Args:
        classes: names of the known classes, in the order of the logits.
        mean: of RGB in 0..1, subtracted inside the network.
        std: divides after that.
        divisor: both sides of an input must be multiples of it; other sizes are padded by their
            edge pixels at the bottom and on the right, and cropped again.
        align_corners: how logits are brought to image size.
        input_size: height and width that the network takes, where it takes no other: images are
            resized to it bilinearly instead of padded. None: any size.

    Attributes:
        answers: what it says of an image: `("logits",)`, or `("evidence", "masks")` of a mask
            network.
        trainable: whether gradients pass through it.
        learned_from: what moved its weights beside inlier classes, as `Detector.supervision`.
    """

    answers: tuple[Answer, ...] = ("logits",)
    trainable: bool = True
    features: dict[str, FeatureInfo]
    mean: Tensor
    std: Tensor
    default_feature: str = ""
    """Name of the map that a detector takes when it is told nothing: late and semantic."""

    def __init__(
        self,
        classes: tuple[str, ...],
        *,
        mean: tuple[float, float, float] = (0.485, 0.456, 0.406),
        std: tuple[float, float, float] = (0.229, 0.224, 0.225),
        divisor: int = 1,
        align_corners: bool = False,
        input_size: tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        if len(classes) < 2:
            msg = f"a segmenter needs at least 2 classes, not {len(classes)}."
            raise OptionError(msg)
        self.classes = tuple(classes)
        self.learned_from = "none"
        self.divisor = divisor
        self.align_corners = align_corners
        self.input_size = input_size
        self.features = {}
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)

    @abstractmethod
    def maps(
        self, image: Tensor, features: Collection[str]
    ) -> tuple[Tensor | Masks, dict[str, Tensor]]:
        """Compute logits, or the masks of a mask network, and the named features.

        Args:
            image: `(B, 3, H', W')` normalised, sides multiples of `divisor`.
            features: names out of `self.features`.

        Returns:
            logits `(B, K, h, w)` at the network's own stride, or masks, and
            `{name: (B, C, h', w')}`.
        """

    @abstractmethod
    def options(self) -> dict[str, Any]:
        """Return the constructor options that rebuild this network, weights aside."""

    def forward(self, image: Tensor, features: Collection[str] = ()) -> Segmentation:
        """Segment a batch.

        Args:
            image: `(B, 3, H, W)` float in 0..1, RGB, any size.
            features: names of the maps to return; `self.features` lists them.

        Raises:
            FeatureError: a feature that this network does not offer.
        """
        for name in features:
            self.feature(name)
        height, width = image.shape[-2:]
        entering, padded = self._fit((image - self.mean) / self.std)
        answer, found = self.maps(entering.contiguous(), features)
        masks = answer if isinstance(answer, Masks) else None
        return Segmentation(
            logits=answer.weighted(answer.probabilities) if isinstance(answer, Masks) else answer,
            size=(height, width),
            padded=padded,
            align_corners=self.align_corners,
            features=found,
            kind="logits" if masks is None else "evidence",
            masks=masks,
        )

    def _fit(self, image: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """Bring images to a size that the network takes; also return the size its maps cover."""
        height, width = image.shape[-2:]
        if self.input_size is not None:
            if (height, width) != self.input_size:
                image = functional.interpolate(image, size=self.input_size, mode="bilinear")
            return image, (height, width)
        right, bottom = -width % self.divisor, -height % self.divisor
        if right or bottom:
            image = functional.pad(image, (0, right, 0, bottom), mode="replicate")
        return image, (height + bottom, width + right)

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return self.mean.device

    def feature(self, name: str) -> FeatureInfo:
        """Return what is known of a feature map.

        Raises:
            FeatureError: with the nearest name.
        """
        if name not in self.features:
            kind = type(self).__name__
            msg = f"{kind} offers no feature {name!r}; {nearest(name, self.features)}"
            if not self.features:
                msg = f"{kind} offers no features: take a detector that reads its answers alone."
            raise FeatureError(msg)
        return self.features[name]
