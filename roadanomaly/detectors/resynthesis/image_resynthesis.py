"""Image Resynthesis: the image drawn again from its labels, and a network that compares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from roadanomaly.detectors.resynthesis.network import DiscrepancyNetwork
from roadanomaly.detectors.resynthesis.resynthesis import (
    ResynthesisDetector,
    ResynthesisOptions,
    enlarge,
)
from roadanomaly.encoders import PACKAGED
from roadanomaly.types import Segmentation


class ImageResynthesis(ResynthesisDetector):
    """What the segmenter misjudged is drawn wrongly from its labels, and so looks different.

    A generator draws the image again from the predicted labels; a network that sees features of
    both images, their correlation and the labels says where they disagree. It is trained on images
    whose labels were changed (the source `label_swap`), without any anomaly. The score is the
    log-odds of "discrepant".

    Args:
        generator: catalogue `name` of the generator, and its options, untrained.
        start: instead, the run folder of a trained generator; its weights become part of the model.
        generator_size: height and width to generate at; images of other proportions get as many
            pixels in their own.
        encoder: catalogue `name` of the encoder of both images, and its options; the published one
            is `{name: vgg, depth: 16, weights: imagenet}`.
        train_encoder: whether the encoder learns; not as published.
        size: height and width that the network works at, likewise.
        width: channels of its finest decoder block; coarser ones have 2 and 4 times that.
        tile: side of the tiles that the network works in at inference, in pixels of `size`, where
            memory is short; 0 takes the image at once.

    Raises:
        OptionError: a value out of range, or not one of `generator` and `start`.
        DataError: no generator lies at `start`.

    Source: Lis et al., 2019, Detecting the Unexpected via Image Resynthesis, section 3; loss
    weights `1 / ln(1.02 + frequency)` as in its code. Differs: the frequencies are counted over
    the training stream and not given; the log-odds in place of the probability, which orders
    pixels alike and does not saturate; the correlation is divided by the number of channels; void
    never counts.
    """

    paper = "Lis et al., Detecting the Unexpected via Image Resynthesis, ICCV 2019"
    name = "image_resynthesis"

    def __init__(
        self,
        generator: Mapping[str, Any] | None = None,
        start: str | None = None,
        generator_size: Sequence[int] = (512, 1024),
        encoder: Mapping[str, Any] = PACKAGED,
        train_encoder: bool = False,
        size: Sequence[int] = (512, 1024),
        width: int = 64,
        tile: int = 0,
    ) -> None:
        super().__init__(
            ResynthesisOptions(
                generator, start, generator_size, encoder, train_encoder, size, width, tile
            )
        )

    def build_network(self) -> DiscrepancyNetwork:
        """Return the network of plain decoder blocks."""
        return DiscrepancyNetwork(
            self.encoder.channels,
            self.encoder.strides,
            self.classes,
            width=self.plan.width,
            label_width=max(1, self.plan.width // 2),
        )

    def class_weights(self, frequency: Tensor) -> Tensor:
        """Return `1 / ln(1.02 + f)`."""
        return 1 / (1.02 + frequency).log()

    def score(self, segmentation: Segmentation, image: Tensor) -> Tensor:
        """Return the log-odds of "discrepant", `(B, H, W)`."""
        self.require()
        logits = self.compare(segmentation, image).logits
        return enlarge(logits[:, 1] - logits[:, 0], segmentation.size)
