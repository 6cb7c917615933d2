"""SynBoost: resynthesis and three maps of uncertainty that multiply what the network sees."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from roadanomaly.detectors.resynthesis.network import DiscrepancyNetwork
from roadanomaly.detectors.resynthesis.resynthesis import (
    ResynthesisDetector,
    ResynthesisOptions,
    enlarge,
)
from roadanomaly.detectors.resynthesis.uncertainty import (
    LEAST_RANGE,
    RangeScale,
    perceptual_difference,
    softmax_distance,
    softmax_entropy,
)
from roadanomaly.encoders import ENCODERS, PACKAGED, Encoder
from roadanomaly.errors import Mistakes, OptionError
from roadanomaly.segmenters.base import Segmenter
from roadanomaly.types import Segmentation


class SynBoost(ResynthesisDetector):
    """Image Resynthesis with softmax entropy, softmax distance and perceptual difference as priors.

    The priors' features multiply the fused features at every scale, and SPADE layers condition the
    decoder on the labels. The score is `(1 - w) P(discrepant) + w entropy`, the entropy over its
    range in training, not cut off.

    Args:
        generator: catalogue `name` of the generator, and its options, untrained.
        start: instead, the run folder of a trained generator; its weights become part of the model.
        generator_size: height and width to generate at; images of other proportions get as many
            pixels in their own.
        encoder: catalogue `name` of the encoder of both images, and its options; the published one
            is `{name: vgg, depth: 16, weights: imagenet}`.
        train_encoder: whether the encoder learns, as published.
        perceptual: likewise the encoder of the perceptual difference, which never learns; the
            published one is VGG19. None takes `encoder` as it is before training.
        size: height and width that the network works at, likewise.
        width: channels of its finest decoder block; coarser ones have 2 and 4 times that.
        entropy_weight: w above, 0 to 1; the public code's ensemble script searches it on the set
            that is evaluated, and 0.25 is its default.
        tile: side of the tiles that the network works in at inference, in pixels of `size`, where
            memory is short; 0 takes the image at once.

    Raises:
        OptionError: a value out of range, or not one of `generator` and `start`.
        DataError: no generator lies at `start`.

    Source: Di Biase et al., 2021, Pixel-wise Anomaly Detection in Complex Driving Scenes, sections
    3.1 to 3.3. Differs from the public code: the maps are scaled by their range over the training
    set, not of each image, and not rounded to 256 levels; `0 ln 0` is 0; void is neither inlier nor
    outlier (its released weights take void as outliers); frequencies of the loss are counted over
    the training stream; the entropy of the score is taken at the segmenter's own grid.
    """

    paper = "Di Biase et al., Pixel-wise Anomaly Detection in Complex Driving Scenes, CVPR 2021"
    name = "synboost"
    priors = ("softmax entropy", "softmax distance", "perceptual difference")

    def __init__(
        self,
        generator: Mapping[str, Any] | None = None,
        start: str | None = None,
        generator_size: Sequence[int] = (256, 512),
        encoder: Mapping[str, Any] = PACKAGED,
        train_encoder: bool = True,
        perceptual: Mapping[str, Any] | None = None,
        size: Sequence[int] = (256, 512),
        width: int = 64,
        entropy_weight: float = 0.25,
        tile: int = 0,
    ) -> None:
        if perceptual is None and train_encoder:
            perceptual = encoder
        mistakes = Mistakes()
        with mistakes.noted():
            super().__init__(
                ResynthesisOptions(
                    generator, start, generator_size, encoder, train_encoder, size, width, tile
                )
            )
        with mistakes.noted():
            own = ENCODERS.from_spec(perceptual) if perceptual else None
        mistakes.refuse()
        if not 0 <= entropy_weight <= 1:
            msg = f"synboost: `entropy_weight` must lie in 0..1, not {entropy_weight}."
            raise OptionError(msg)
        self.entropy_weight = entropy_weight
        self.perceptual: Encoder | None = own
        if self.perceptual is not None:
            self.perceptual.requires_grad_(False)

    def options(self) -> dict[str, Any]:
        """Return the constructor options."""
        own = self.perceptual
        return {
            **super().options(),
            "perceptual": own and {"name": ENCODERS.name_of(own), **own.options()},
            "entropy_weight": self.entropy_weight,
        }

    def attach(self, segmenter: Segmenter) -> None:
        """Build the network; the scale starts at what entropy and distance can be."""
        super().attach(segmenter)
        self.scale = RangeScale(low=[0.0, 0.0, 0.0], high=[math.log(self.classes), 1.0, 1.0])

    def train(self, mode: bool = True) -> SynBoost:
        """Set the mode; the encoder of the perceptual difference stays in inference mode."""
        super().train(mode)
        if self.perceptual is not None:
            self.perceptual.eval()
        return self

    def build_network(self) -> DiscrepancyNetwork:
        """Return the network with a prior encoder and SPADE layers."""
        return DiscrepancyNetwork(
            self.encoder.channels,
            self.encoder.strides,
            self.classes,
            width=self.plan.width,
            label_width=max(1, self.plan.width // 2),
            priors=len(self.priors),
            modulated=True,
            hidden=self.plan.width,
        )

    def class_weights(self, frequency: Tensor) -> Tensor:
        """Return `1 / f`."""
        return 1 / frequency

    def uncertainty(self, segmentation: Segmentation) -> Tensor:
        """Return entropy and distance of the softmax at image size, `(B, 2, H, W)`."""
        logits = segmentation.class_logits(segmentation.logits)
        maps = torch.stack([softmax_entropy(logits), softmax_distance(logits)], 1)
        return segmentation.to_image(maps)

    def scaled_priors(self, unsure: Tensor, images: Tensor, maps: list[Tensor]) -> Tensor:
        """Return the three maps in 0..1; in training, take them into the scale's statistics."""
        with torch.no_grad():
            if self.perceptual is not None:
                maps = self.perceptual(images)
            halves = [one.chunk(2) for one in maps]
            size = unsure.shape[-2], unsure.shape[-1]
            difference = perceptual_difference(
                [one for one, _ in halves], [other for _, other in halves], size
            )
            maps_now = torch.cat([unsure.float(), difference[:, None]], 1)
            if self.training:
                self.scale.update(maps_now)
            return self.scale(maps_now)

    def score(self, segmentation: Segmentation, image: Tensor) -> Tensor:
        """Return `(1 - w) P(discrepant) + w entropy`, `(B, H, W)`."""
        self.require()
        found = self.compare(segmentation, image)
        logits = segmentation.class_logits(segmentation.logits)
        top = self.scale.high[0] - self.scale.low[0]
        entropy = (softmax_entropy(logits) - self.scale.low[0]) / top.clamp_min(LEAST_RANGE)
        share = self.entropy_weight
        probability = enlarge(found.probability, segmentation.size)
        return (1 - share) * probability + share * segmentation.to_image(entropy)
