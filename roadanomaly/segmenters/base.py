"""What every segmenter is: images in, logits and named features out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from roadanomaly.catalogue import called
from roadanomaly.errors import FeatureError, KindError, OptionError, nearest
from roadanomaly.segmenters.closed_set import closed_set_cross_entropy
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
        features: the maps that it offers, by name.
        on_request: further maps from inside it, which only those who name them get: "all
            features" does not mean them.
        query_width: of `Masks.queries`; 0 where the network does not tell these.
    """

    answers: tuple[Answer, ...] = ("logits",)
    trainable: bool = True
    features: dict[str, FeatureInfo]
    on_request: dict[str, FeatureInfo]
    mean: Tensor
    std: Tensor
    default_feature: str = ""
    """Name of the map that a detector takes when it is told nothing: late and semantic."""
    classified: str = ""
    """Name of the map that `classify` reads; "" where there is none."""
    query_width: int = 0
    least_cells: int = 1
    """Squares of `divisor` pixels that an image needs; 2 where a layer normalises a map over its
    pixels and cannot do so with one. Smaller images are padded."""

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
        self.on_request = {}
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)

    @abstractmethod
    def maps(
        self, image: Tensor, features: Collection[str]
    ) -> tuple[Tensor | Masks, dict[str, Tensor]]:
        """Compute logits, or the masks of a mask network, and the named features.

        Args:
            image: `(B, 3, H', W')` normalised, sides multiples of `divisor`.
            features: names out of `self.features` and `self.on_request`.

        Returns:
            logits `(B, K, h, w)` at the network's own stride, or masks, and
            `{name: (B, C, h', w')}`. Logits beyond the K classes may follow those of the classes.
        """

    @abstractmethod
    def options(self) -> dict[str, Any]:
        """Return the constructor options that rebuild this network, weights aside."""

    def forward(self, image: Tensor, features: Collection[str] = ()) -> Segmentation:
        """Segment a batch.

        Args:
            image: `(B, 3, H, W)` float in 0..1, RGB, any size.
            features: names of the maps to return; `self.features` and `self.on_request` list them.

        Raises:
            FeatureError: a feature that this network does not offer.
        """
        for name in features:
            self.feature(name)
        height, width = image.shape[-2:]
        entering, padded = self._fit((image - self.mean) / self.std)
        answer, found = self.maps(entering.contiguous(), features)
        masks = answer if isinstance(answer, Masks) else None
        scores = answer.weighted(answer.probabilities) if isinstance(answer, Masks) else answer
        more = scores.shape[1] > len(self.classes)
        return Segmentation(
            logits=scores[:, : len(self.classes)] if more else scores,
            size=(height, width),
            padded=padded,
            align_corners=self.align_corners,
            features=found,
            kind="logits" if masks is None else "evidence",
            masks=masks,
            extra=scores[:, len(self.classes) :] if more else None,
        )

    def classify(self, feature: Tensor) -> Tensor:
        """Compute logits from the map `classified` alone.

        That is all that the network does after this map: of most networks one convolution, of
        some (`deeplab_wrn38`, `espnetv2`) the few layers that their authors call the last.

        Args:
            feature: `(B, C, h', w')`, as wide as `features[classified]` says.

        Returns:
            `(B, K, h, w)`, in inference mode those that the network answers for this map.

        Raises:
            FeatureError: this network has no such map.
        """
        del feature
        reason = (
            "it answers masks"
            if "masks" in self.answers
            else "its logits do not come from one map that it offers"
        )
        msg = (
            f"`{called(self)}` has no classifier that can be asked alone: {reason}. Take a "
            "network whose last layer reads one map, such as `deeplab_wrn38` or `smp`, or a "
            "detector that does without."
        )
        raise FeatureError(msg)

    def loss(self, segmentation: Segmentation, label: Tensor) -> dict[str, Tensor]:
        """Return the terms that this network learns the known classes by; their sum is the loss.

        Args:
            segmentation: what it said of the images, with gradients.
            label: `(B, H, W)` uint8: class index; 252 and above count for nothing. For a mask
                network `Masks.no_object` is content that belongs to no mask.

        Returns:
            finite scalars by name, each 0 with a gradient of 0 where no pixel has a class. Here
            the mean cross-entropy over pixels with a class, in nats.
        """
        return {"cross_entropy": closed_set_cross_entropy(segmentation, label)}

    def part(self, name: str) -> list[nn.Parameter]:
        """Return the parameters of a part of a mask network.

        Args:
            name: `heads`, the layers that turn queries into classes and masks; or `decoder`, all
                that learns of queries, the heads among it.

        Raises:
            KindError: this network does not tell its parts.
        """
        msg = f"`{called(self)}` does not tell its {name} from the rest: take `moves: all`."
        raise KindError(msg)

    def _fit(self, image: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """Bring images to a size that the network takes; also return the size its maps cover."""
        height, width = image.shape[-2:]
        if self.input_size is not None:
            if (height, width) != self.input_size:
                image = functional.interpolate(image, size=self.input_size, mode="bilinear")
            return image, (height, width)
        right, bottom = -width % self.divisor, -height % self.divisor
        if self.least_cells > 1 and height + bottom == width + right == self.divisor:
            right += self.divisor
        if right or bottom:
            image = functional.pad(image, (0, right, 0, bottom), mode="replicate")
        return image, (height + bottom, width + right)

    def settle(self) -> None:
        """Put into the weights what follows from them, in a copy that only scores from now on.

        Graphs for other runtimes are made of such a copy. Here there is nothing to do.
        """

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return self.mean.device

    def feature(self, name: str) -> FeatureInfo:
        """Return what is known of a feature map.

        Raises:
            FeatureError: with the nearest name.
        """
        known = {**self.features, **self.on_request}
        if name not in known:
            kind = f"`{called(self)}`"
            msg = f"{kind} offers no feature {name!r}; {nearest(name, known)}"
            if not known:
                msg = f"{kind} offers no features: take a detector that reads its answers alone."
            raise FeatureError(msg)
        return known[name]
