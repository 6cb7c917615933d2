"""What every detector is: a segmentation in, a score map out, its preparation declared."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from torch import Tensor, nn

from roadanomaly.errors import KindError, NotFitted
from roadanomaly.segmenters.base import Segmenter
from roadanomaly.types import Answer, Batch, Segmentation

Kind = Literal["posthoc", "fit", "train", "finetune"]

Region = Literal["image", "road"]
"""Where a score means something: everywhere, or on drivable ground (road and sidewalk) alone."""


@dataclass(frozen=True)
class Pass:
    """One walk over inlier frames in which a detector collects statistics.

    Args:
        name: is handed to `update` and `finish`.
        held_out: walk over the frames that are kept from training and from all other passes,
            instead of over those others.
    """

    name: str
    held_out: bool = False


class Detector(nn.Module, ABC):
    """A published method that scores pixels.

    Everything that it learns is a parameter or a buffer, so `.to()`, saving and export work.

    Class facts:
        kind: what must happen before scoring: `posthoc` nothing; `fit` the `fit_passes` over inlier
            images; `train` its own networks learn on a frozen segmenter; `finetune` its loss
            moves the segmenter too.
        fit_passes: walks over inlier frames, in order: in each `update` with every batch, then
            `finish`. A detector that learns by a loss may have some too: those over held-in
            frames come before its first step, those over held-out ones before each validation,
            so that what is validated and saved has them. A property where it depends on options.
        retired: options of models that older versions saved, which mean nothing any more; they
            are left out on loading.
        supervision: what it learns from beside inlier classes, for the tables: `"none"`,
            `"negatives"` (pasted or generated), `"void"`, `"anomalies"` (labelled real ones). A
            property where it depends on what the training showed.
        needs_source: whether its loss means nothing without a source of negatives.
        paper: where it was published.
        accepts: what it can read of a segmenter: `"logits"`, `"evidence"` (the evidence of a mask
            network in place of logits; only where that means something), `"masks"`. A detector
            that reads features alone accepts logits and evidence.
        region: where its score means something; validation in training counts no other pixels.

    Attributes:
        trained_on: content of the negatives that a training showed (`NegativeSource.content`);
            saved with a model.
    """

    kind: ClassVar[Kind] = "posthoc"
    fit_passes: ClassVar[tuple[Pass, ...]] = ()
    retired: ClassVar[tuple[str, ...]] = ()
    supervision: ClassVar[str] = "none"
    needs_source: ClassVar[bool] = False
    paper: ClassVar[str]
    accepts: ClassVar[tuple[Answer, ...]] = ("logits",)
    region: ClassVar[Region] = "image"
    trained_on: str | None = None

    @property
    def learned_from(self) -> str:
        """`supervision`, or more exactly which negatives, where a training has said it."""
        foreign = self.supervision in ("negatives", "anomalies")
        return self.trained_on if foreign and self.trained_on else self.supervision

    @classmethod
    def check_kind(cls, segmenter: Segmenter) -> None:
        """Refuse a segmenter that answers nothing which this detector can read.

        Raises:
            KindError: says what is wanted and what there is.
        """
        if not set(cls.accepts) & set(segmenter.answers):
            wanted = "a mask network" if "masks" in cls.accepts else "a network with logits"
            msg = (
                f"the detector {cls.__name__} reads {' or '.join(cls.accepts)}, and "
                f"{type(segmenter).__name__} answers {' and '.join(segmenter.answers)}: give it "
                f"{wanted}, or take another detector."
            )
            raise KindError(msg)
        if cls.kind == "finetune" and not segmenter.trainable:
            msg = (
                f"the detector {cls.__name__} fine-tunes its segmenter, and "
                f"{type(segmenter).__name__} cannot be trained: take the network it was made "
                "from, or a detector of kind posthoc."
            )
            raise KindError(msg)

    def attach(self, segmenter: Segmenter) -> None:
        """Build what depends on the segmenter's classes and feature widths; called once.

        Raises:
            FeatureError: the segmenter does not offer a feature that this detector needs.
        """

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of the segmenter's features that `score` and `loss` read; known after `attach`."""
        return ()

    @abstractmethod
    def options(self) -> dict[str, Any]:
        """Return the constructor options that rebuild this detector."""

    @abstractmethod
    def score(self, segmentation: Segmentation, image: Tensor) -> Tensor:
        """Score each pixel.

        Args:
            segmentation: what the segmenter said of `image`.
            image: `(B, 3, H, W)` float in 0..1.

        Returns:
            `(B, H, W)` float32, higher = more anomalous, unbounded.

        Raises:
            NotFitted: what this kind needs has not happened.
        """

    @property
    def explains(self) -> bool:
        """Whether `explain` returns anything."""
        return type(self).explain is not Detector.explain

    def explain(self, segmentation: Segmentation, image: Tensor) -> dict[str, Tensor]:
        """Return what the score rests on, as named pictures; none of most detectors.

        Args:
            segmentation: what the segmenter said of `image`.
            image: `(B, 3, H, W)` float in 0..1.

        Returns:
            by title, at any size: `(B, 3, h, w)` float in 0..1, a picture; or `(B, h, w)` float, a
            map of values.

        Raises:
            NotFitted: what this kind needs has not happened.
        """
        del segmentation, image
        return {}

    def update(self, segmentation: Segmentation, batch: Batch, name: str) -> None:
        """Take one batch of inlier images into the statistics of the pass `name`."""
        raise TypeError(f"{type(self).__name__} has no passes: there is nothing to fit.")

    def finish(self, name: str) -> None:
        """Turn what the pass `name` collected into what `loss`, `score` or the next pass reads."""
        raise TypeError(f"{type(self).__name__} has no passes: there is nothing to fit.")

    def expect(self, passes: int) -> None:
        """Hear how many training passes are to come, before the first; most losses never change.

        A detector whose loss has phases counts its passes in a buffer, so that a resumed run goes
        on where it was.
        """
        del passes

    def loss(self, segmentation: Segmentation, batch: Batch) -> dict[str, Tensor]:
        """Return the terms to minimise, named; their sum is the loss (`train`, `finetune`).

        Each is a finite scalar, zero where the batch holds nothing that it applies to.
        """
        raise TypeError(f"{type(self).__name__} is of kind {self.kind!r}: there is no loss.")

    def require(self, ready: bool, name: str) -> None:
        """Refuse to score before the preparation that this kind needs.

        Raises:
            NotFitted: if not `ready`.
        """
        if not ready:
            verb = "fit" if self.kind == "fit" else "train"
            msg = (
                f"the detector {name} has learned nothing yet; "
                f"run `roadanomaly {verb}` first, or load a model that was saved after it."
            )
            raise NotFitted(msg)
