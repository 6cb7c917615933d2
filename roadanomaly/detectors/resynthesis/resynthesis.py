"""What the detectors of the resynthesis family share: generate, encode, compare, learn."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from roadanomaly.data.class_names import difference
from roadanomaly.detectors.base import Detector
from roadanomaly.detectors.resynthesis.network import DiscrepancyNetwork
from roadanomaly.detectors.resynthesis.sizes import in_tiles, proportioned, resize_image
from roadanomaly.encoders import ENCODERS, Encoder
from roadanomaly.encoders.base import SMALLEST
from roadanomaly.errors import Mistakes, OptionError
from roadanomaly.generators import GENERATORS, Generator
from roadanomaly.generators.base import one_hot, resize_labels
from roadanomaly.generators.store import load_generator
from roadanomaly.segmenters.base import Segmenter
from roadanomaly.types import ASSUMED, IGNORE, NEGATIVE, Batch, Segmentation, is_inlier

MARGIN = 64
"""Pixels around a tile that are computed and cut off."""

RAREST = 1e-3
"""Frequency below which a class counts as this frequent, so that its weight stays finite."""


@dataclass(frozen=True)
class ResynthesisOptions:
    """The options that all detectors of the family share.

    Args:
        generator: catalogue `name` of the generator and its options; or None, with `start`.
        start: run folder of a trained generator.
        generator_size: height and width to generate at.
        encoder: catalogue `name` of the encoder and its options.
        train_encoder: whether the encoder learns.
        size: height and width that the discrepancy network works at.
        width: channels of its finest decoder block.
        tile: side of the tiles that it works in at inference, pixels of `size`; 0 for none.
    """

    generator: Mapping[str, Any] | None
    start: str | None
    generator_size: Sequence[int]
    encoder: Mapping[str, Any]
    train_encoder: bool
    size: Sequence[int]
    width: int
    tile: int

    def check(self, detector: str) -> None:
        """Refuse values that cannot work.

        Raises:
            OptionError: says what is allowed.
        """
        if (self.generator is None) == (self.start is None):
            msg = (
                f"{detector}: give either `start`, the run folder of a trained generator "
                "(`roadanomaly train generator`), or `generator`, an untrained one."
            )
            raise OptionError(msg)
        for name in ("generator_size", "size"):
            size = getattr(self, name)
            if len(size) != 2 or min(size) < 1:
                msg = f"{detector}: `{name}` is {list(size)}; give height and width in pixels."
                raise OptionError(msg)
        if self.width < 1 or self.tile < 0:
            msg = (
                f"{detector}: `width` must be at least 1 and `tile` not negative, not "
                f"{self.width} and {self.tile}."
            )
            raise OptionError(msg)


@dataclass(frozen=True)
class Comparison:
    """An image beside what its labels would look like.

    Args:
        resynthesis: `(B, 3, h', w')` float in 0..1, at the generator's size.
        logits: `(B, 2, h, w)` float32 of "explained" and "discrepant", at the finest map.
        priors: `(B, M, h, w)` float32 in 0..1, at the same grid.
    """

    resynthesis: Tensor
    logits: Tensor
    priors: Tensor

    @property
    def probability(self) -> Tensor:
        """Of "discrepant", `(B, h, w)`."""
        return self.logits.softmax(1)[:, 1]


class ResynthesisDetector(Detector):
    """Draws the image again from its labels, and learns to see where the two do not agree.

    Generator and, unless it learns, encoder stay as they are. All parts see the whole image; other
    sizes than the image's are named by their number of pixels and taken in its proportions.

    Args:
        plan: options, checked here.
    """

    kind = "train"
    needs_source = True
    accepts = ("logits", "evidence")
    priors: tuple[str, ...] = ()
    """Titles of the maps that the network is given beside images and labels."""

    outliers: Tensor
    seen: Tensor
    network: DiscrepancyNetwork

    def __init__(self, plan: ResynthesisOptions) -> None:
        super().__init__()
        plan.check(self.name)
        self.plan = plan
        mistakes = Mistakes()
        with mistakes.noted():
            self.generator: Generator = (
                load_generator(plan.start) if plan.start else GENERATORS.from_spec(plan.generator)
            )
        with mistakes.noted():
            self.encoder: Encoder = ENCODERS.from_spec(plan.encoder)
        mistakes.refuse()
        self.generator.requires_grad_(False)
        self.encoder.requires_grad_(False)
        if plan.train_encoder:
            self.encoder.learn()
        self.register_buffer("outliers", torch.tensor(False))
        self.register_buffer("seen", torch.zeros(2, dtype=torch.float64))

    @property
    @abstractmethod
    def name(self) -> str:
        """In the catalogue."""

    @abstractmethod
    def class_weights(self, frequency: Tensor) -> Tensor:
        """Return the weights of inliers and discrepancies in the loss, of their shares `(2,)`."""

    @property
    def supervision(self) -> str:  # type: ignore[override]
        """`"negatives"` once it has been trained on foreign content, and not only on labels."""
        return "negatives" if bool(self.outliers) else "none"

    def options(self) -> dict[str, Any]:
        """Return the constructor options; the trained generator is in the weights."""
        networks = {
            "generator": {"name": GENERATORS.name_of(self.generator), **self.generator.options()},
            "start": None,
            "encoder": {"name": ENCODERS.name_of(self.encoder), **self.encoder.options()},
        }
        sizes = {"generator_size": list(self.plan.generator_size), "size": list(self.plan.size)}
        return {**asdict(self.plan), **networks, **sizes}

    def attach(self, segmenter: Segmenter) -> None:
        """Build the discrepancy network for the segmenter's classes.

        Raises:
            OptionError: the generator draws other classes.
        """
        self.classes = len(segmenter.classes)
        if self.generator.classes != self.classes:
            msg = (
                f"{self.name}: the generator draws {self.generator.classes} classes and the "
                f"segmenter knows {self.classes}; train a generator on that segmenter's classes."
            )
            raise OptionError(msg)
        drawn = self.generator.names
        if drawn and (
            differs := difference("the generator", drawn, "the segmenter", segmenter.classes)
        ):
            msg = f"{self.name}: {differs}; train a generator on that segmenter's classes."
            raise OptionError(msg)
        self.network = self.build_network()

    @abstractmethod
    def build_network(self) -> DiscrepancyNetwork:
        """Return the discrepancy network for `self.classes` classes."""

    def train(self, mode: bool = True) -> ResynthesisDetector:
        """Set the mode; generator and the encoder's normalisation stay in inference mode."""
        super().train(mode)
        self.generator.eval()
        self.encoder.eval()
        return self

    def uncertainty(self, segmentation: Segmentation) -> Tensor:
        """Return the maps that the segmenter's answer alone gives, `(B, M', H, W)`; here none."""
        return segmentation.logits.new_zeros(len(segmentation.logits), 0, *segmentation.size)

    def scaled_priors(self, unsure: Tensor, images: Tensor, maps: list[Tensor]) -> Tensor:
        """Return the network's priors in 0..1, `(B, M, H, W)`.

        Args:
            unsure: what `uncertainty` returned, at the network's size.
            images: `(2 B, 3, H, W)`, the images and then their resyntheses.
            maps: the encoder's maps of these.
        """
        del images, maps
        return unsure

    def compare(self, segmentation: Segmentation, image: Tensor) -> Comparison:
        """Generate from the segmentation's labels, and compare; arguments as `score`."""
        labels = segmentation.explained()
        size = image.shape[-2], image.shape[-1]
        step = self.generator.stride
        with torch.no_grad():
            at = proportioned(self.plan.generator_size, size, step, 2 * step)
            resynthesis = self.generator.synthesise(labels, at).float()
        stride = max(self.encoder.strides)
        working = proportioned(self.plan.size, size, stride, max(SMALLEST, stride))
        layout = one_hot(resize_labels(labels, working), self.classes)[:, : self.classes]
        inputs = [
            resize_image(image, working),
            resize_image(resynthesis, working),
            layout,
            resize_image(self.uncertainty(segmentation), working),
        ]
        tile, margin = (-(-one // stride) * stride for one in (self.plan.tile, MARGIN))
        found = in_tiles(self._look, inputs, 0 if self.training else tile, margin)
        return Comparison(resynthesis, found[:, :2], found[:, 2:])

    def _look(self, image: Tensor, again: Tensor, layout: Tensor, unsure: Tensor) -> Tensor:
        """Return logits and priors of images that are all at the network's size, stacked."""
        images = torch.cat([image, again])
        maps = self.encoder(images)
        priors = self.scaled_priors(unsure, images, maps)
        seen, drawn = ([one.chunk(2)[part] for one in maps] for part in (0, 1))
        logits = self.network(seen, drawn, layout, priors if self.priors else None).float()
        return torch.cat([logits, resize_image(priors, (logits.shape[-2], logits.shape[-1]))], 1)

    def loss(self, segmentation: Segmentation, batch: Batch) -> dict[str, Tensor]:
        """Return the weighted cross-entropy of "discrepant" where the label is `NEGATIVE`.

        Void is neither; the labels that the batch assumes come before the segmenter's.
        """
        self.ready = True
        self._note_outliers(batch)
        explained = replace(segmentation, assumed=batch.note(ASSUMED))
        logits = self.compare(explained, batch.image).logits
        label = resize_labels(batch.label, (logits.shape[-2], logits.shape[-1]))
        target = (label == NEGATIVE).long()
        counted = (is_inlier(label) | (label == NEGATIVE)).float()
        weight = counted * self.class_weights(self._frequency(target, counted))[target]
        cost = functional.cross_entropy(logits, target, reduction="none")
        return {"discrepancy": (weight * cost).sum() / weight.sum().clamp_min(1e-6)}

    def _note_outliers(self, batch: Batch) -> None:
        """Remember negatives that are in the image, and not in assumed labels alone."""
        foreign, assumed = batch.negative, batch.note(ASSUMED)
        if assumed is not None:
            foreign = foreign & (assumed == IGNORE)
        self.outliers.logical_or_(foreign.any())

    @torch.no_grad()
    def _frequency(self, target: Tensor, counted: Tensor) -> Tensor:
        """Count a training batch in, and return the shares of both classes so far, `(2,)`."""
        if self.training:
            found = torch.stack([(counted * (target == one)).sum() for one in (0, 1)])
            self.seen += found
        total = self.seen.sum()
        shares = torch.where(total > 0, self.seen / total.clamp_min(1), 0.5)
        return shares.clamp_min(RAREST).float()

    def explain(self, segmentation: Segmentation, image: Tensor) -> dict[str, Tensor]:
        """Return the resynthesis, the priors and the probability of a discrepancy."""
        self.require()
        found = self.compare(segmentation, image)
        priors = zip(self.priors, found.priors.unbind(1), strict=True)
        return {
            "resynthesis": found.resynthesis,
            **dict(priors),
            "discrepancy": found.probability,
        }


def enlarge(values: Tensor, size: tuple[int, int]) -> Tensor:
    """Bring `(B, h, w)`, which covers the image and no padding, to image size bilinearly."""
    return functional.interpolate(values[:, None], size=size, mode="bilinear")[:, 0]
