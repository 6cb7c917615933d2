"""What every detector is: a segmentation in, a score map out, its preparation declared."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from torch import Tensor, nn

from roadanomaly.catalogue import called
from roadanomaly.detectors.learner import Learner
from roadanomaly.errors import KindError, NotFitted
from roadanomaly.flows.image_flow import ImageFlow
from roadanomaly.prepared import Prepared
from roadanomaly.segmenters.base import Segmenter
from roadanomaly.types import Answer, Batch, Segmentation

Kind = Literal["posthoc", "fit", "train", "finetune"]

Ask = Literal["answer", "passes", "gradients", "state", "coder"]

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


class Detector(Prepared, ABC):
    """A published method that scores pixels.

    Everything that it learns is a parameter or a buffer, so `.to()`, saving and export work.

    Class facts:
        kind: what must happen before scoring: `posthoc` nothing; `fit` the `fit_passes` over inlier
            images; `train` its own networks learn on a frozen segmenter; `finetune` its loss
            moves the segmenter too. Where options decide, the constructor says it of one detector.
        fit_passes: walks over inlier frames, in order: in each `begin`, `update` with every batch,
            then `finish`. A detector that learns by a loss may have some too: those over held-in
            frames come before its very first step, not again where a run goes on with it, and
            those over held-out ones before each validation, so that what is validated and saved
            has them. A property where it depends on options.
        supervision: what it learns from beside inlier classes, for the tables: `"none"`,
            `"negatives"` (pasted or generated), `"void"`, `"anomalies"` (labelled real ones). A
            property where it depends on what the training showed.
        needs_source: whether its loss means nothing without a source of negatives.
        paper: where it was published.
        accepts: what it can read of a segmenter: `"logits"`, `"evidence"` (the evidence of a mask
            network in place of logits; only where that means something), `"masks"`. A detector
            that reads features alone accepts logits and evidence.
        region: where its score means something; validation in training counts no other pixels.
        asks: what `look` does beyond one plain pass of the network: `"answer"` it changes the
            answer of that pass or adds to it, `"passes"` several, `"gradients"` of the input or of
            weights, `"state"` something is kept from frame to frame, or the network is changed
            until `reset`; or `"coder"`, a coder of images runs on the CPU in `score`. Empty where
            one pass is all, which detectors then share. A detector that asks for more than
            `"answer"` cannot be exported as a graph.
        reads_segmentation: whether it reads what the segmenter says. Where not, the segmenter is
            not run, and nothing is known of the classes.
        reads_classes: whether its passes learn from which class a label names. Where not, labels
            tell at most inliers from the rest, and `fit` takes frames of any classes or of none.
        closed_set: whether training adds the segmenter's own loss on known classes to this
            detector's, where the segmenter moves.

    Attributes:
        trained_on: content of the negatives that a training showed (`NegativeSource.content`);
            saved with a model.
        ready: whether it has been prepared as its kind needs.
    """

    kind: Kind = "posthoc"
    fit_passes: ClassVar[tuple[Pass, ...]] = ()
    supervision: ClassVar[str] = "none"
    needs_source: ClassVar[bool] = False
    paper: ClassVar[str]
    accepts: ClassVar[tuple[Answer, ...]] = ("logits",)
    region: ClassVar[Region] = "image"
    asks: ClassVar[tuple[Ask, ...]] = ()
    reads_segmentation: ClassVar[bool] = True
    reads_classes: ClassVar[bool] = False
    closed_set: ClassVar[bool] = True
    trained_on: str | None = None

    def __init__(self) -> None:
        super().__init__(ready=self.kind == "posthoc")

    def be(self, kind: Kind) -> None:
        """Be of a kind that has to be prepared, where options of a `posthoc` detector ask for it.

        Called by constructors.
        """
        if kind != self.kind:
            self.kind, self.ready = kind, False
            self.keep_plain("ready")

    @property
    def learned_from(self) -> str:
        """`supervision`, or more exactly which negatives, where a training has said it."""
        foreign = self.supervision in ("negatives", "anomalies")
        return self.trained_on if foreign and self.trained_on else self.supervision

    @property
    def beyond_one_graph(self) -> tuple[Ask, ...]:
        """What of `asks` no graph of one pass can hold."""
        return tuple(one for one in self.asks if one != "answer")

    def check_kind(self, segmenter: Segmenter) -> None:
        """Refuse a segmenter that answers nothing which this detector can read.

        Raises:
            KindError: says what is wanted and what there is.
        """
        readable = set(self.accepts) & set(segmenter.answers)
        if self.reads_segmentation and not readable:
            wanted = "a mask network" if "masks" in self.accepts else "a network with logits"
            msg = (
                f"the detector `{called(self)}` reads {' or '.join(self.accepts)}, and "
                f"`{called(segmenter)}` answers {' and '.join(segmenter.answers)}: give it "
                f"{wanted}, or take another detector."
            )
            raise KindError(msg)
        if self.kind == "finetune" and not segmenter.trainable:
            msg = (
                f"the detector `{called(self)}` fine-tunes its segmenter, and "
                f"`{called(segmenter)}` cannot be trained: take the network it was made "
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

    def look(self, segmenter: Segmenter, image: Tensor) -> Segmentation:
        """Ask the network about a batch; one pass by default.

        All that uses a model asks here: scoring, training, validation, `fit`, video, export. A
        detector that needs several passes, gradients or flips overrides it and says so in `asks`;
        what it finds beyond a segmentation goes into that as `extra` or as further features.

        Args:
            segmenter: the one that it is attached to.
            image: `(B, 3, H, W)` float in 0..1, on the network's device.
        """
        if not self.reads_segmentation:
            return Segmentation.unasked(image)
        return segmenter(image, self.needs)

    def reset(self) -> None:
        """Forget what was kept of earlier frames: a new stream, or a cut (`asks` has `state`)."""

    def moves(self, segmenter: Segmenter) -> Iterable[nn.Parameter]:
        """Return the segmenter's parameters that learn; its others pass gradients and stay.

        By kind: all of them where the loss moves the segmenter, or where the segmenter is trained
        alone (`posthoc`); none on a frozen one.
        """
        return segmenter.parameters() if self.kind in ("posthoc", "finetune") else ()

    def learners(self) -> Mapping[str, Learner]:
        """Return, by name, own parameters that learn at a pace of their own; none by default.

        The others learn by the run's optimiser at `head_lr`.
        """
        return {}

    def learned_flow(self) -> ImageFlow | None:
        """Return the flow of images that learns in this detector, or None."""
        return None

    def after_step(self, mean: Callable[[Tensor], Tensor]) -> None:
        """Let statistics follow the training, after each optimiser step.

        Args:
            mean: brings a tensor to its mean over all processes; what is kept must have gone
                through it, so that all processes stay equal.
        """

    def native(self, segmentation: Segmentation, image: Tensor) -> Tensor:
        """Score on the grid on which the detector works, `(B, h, w)`; arguments as `score`.

        A detector that works on the logits' grid overrides this, and its `score` brings the result
        to image size. By default the detector works at image size.
        """
        return self.score(segmentation, image)

    def to_image(self, segmentation: Segmentation, values: Tensor) -> Tensor:
        """Bring values `(B, h, w)` on the grid of `native` to image size, as `score` does.

        By default as the segmenter's maps are; a detector on the grid of another network overrides
        it.
        """
        return segmentation.to_image(values)

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

    def begin(self, name: str) -> None:
        """Forget what an earlier walk of the pass `name` left, be it finished or broken off.

        Whoever collects outside of the saved state overrides it; one of kind `fit` is not ready
        until its last pass is finished.
        """
        del name
        if self.kind == "fit":
            self.ready = False

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

    def taught(self, segmentation: Segmentation, batch: Batch) -> tuple[Segmentation, Tensor]:
        """Return what `Segmenter.loss` learns from beside this detector's own (`closed_set`).

        By default the answer as it is and the batch's labels, of which negatives count for
        nothing. For detectors that teach a mask network what negatives are through its own loss.
        """
        return segmentation, batch.label

    def require(self) -> None:
        """Refuse to score before the preparation that this kind needs.

        Raises:
            NotFitted: it is not `ready`.
        """
        if not self.ready:
            verb = "fit" if self.kind == "fit" else "train"
            msg = (
                f"the detector `{called(self)}` has learned nothing yet; "
                f"run `roadanomaly {verb}` first, or load a model that was saved after it."
            )
            raise NotFitted(msg)
