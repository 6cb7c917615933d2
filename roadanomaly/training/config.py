"""Everything that decides the training of a detector, flat and typed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from roadanomaly.errors import OptionError
from roadanomaly.precision import PRECISIONS, Precision
from roadanomaly.training.run_config import Part, RunConfig, Schedule

TEACH = ("all", "unlabelled")


@dataclass(frozen=True, kw_only=True)
class TrainConfig(RunConfig):
    """One training run. A part is a mapping: its catalogue `name` and that entry's options.

    Args:
        segmenter: network, with the weights to start from.
        start: run folder, or name of a model of the package, whose segmenter to start from,
            instead of `segmenter`.
        detector: what is trained. A `posthoc` detector trains the segmenter alone, with
            cross-entropy. Without it the detector of `start` learns on, with its refiners.
        keep_start: share of the weights of `start` in the saved model, which otherwise are those
            of the best step; its validation figures are those of that step.
        refiners: of the detector's score, in order.
        negatives: source of negatives in training; none where the detector needs none.
        val_negatives: source of the validation's negatives: other content than `negatives`.
        head_lr: learning rate of the detector's own layers.
        encoder_lr: learning rate of the segmenter's encoder, where its layers are called `encoder`
            or `backbone`; that of the rest, `lr`, if not given. A smaller one keeps more of what
            the encoder learned before.
        optimiser: of segmenter and detector: `adamw`, `adam` or `sgd` (with Nesterov's momentum
            0.9).
        weight_decay: on weights of two dimensions or more; decoupled in `adamw`, in the gradient
            in the others.
        source_lr: learning rate of a source with parameters (a flow), which Adamax trains.
        source_schedule: of that rate, after the same warm-up.
        source_clip: largest gradient norm of the source; 0 for none.
        freeze_batch_norm: keep the segmenter's BatchNorm statistics as they are.
        distill: weight of a term that keeps the segmenter's predictions near those it started
            with, or near the teacher's, on pixels that show no negative; 0 for none.
        teacher: another network of the same classes, whose soft predictions `distill` teaches; it
            sees the crops before negatives are put in, and is not saved.
        teacher_agrees: ask it four views (the image, its mirror image, a smaller and a larger one),
            and teach their mean where all name the same class; four times the teacher's cost.
        teach: `all` pixels that show no negative, or the `unlabelled` alone: those of ordinary
            frames, and what labels ignore.
        supervise: take the losses at the logits' own stride or at image size.
        held_out: share of the training frames that are kept from training, for a detector that
            takes statistics on frames it did not learn from; of no effect on any other.
        val_frames: validation frames, evenly spaced over `val_data`; 0 takes all.
        val_precision: what validations compute in: `f32`, or `bf16` or `f16` by autocast; what that
            changes is said at the end.
        val_size: height and width that validation frames are brought to; their own if not given.
        false_alarms: share of inlier validation pixels above the saved threshold.
    """

    task: ClassVar[str] = "detector"

    detector: Part | None = None
    segmenter: Part | None = None
    start: str | None = None
    keep_start: float = 0.0
    refiners: tuple[Part, ...] = ()
    negatives: Part | None = None
    val_negatives: Part | None = None
    head_lr: float = 1e-3
    encoder_lr: float | None = None
    optimiser: Literal["adamw", "adam", "sgd"] = "adamw"
    weight_decay: float = 1e-4
    source_lr: float = 1e-5
    source_schedule: Schedule = "constant"
    source_clip: float = 1.0
    freeze_batch_norm: bool = True
    distill: float = 0.0
    teacher: Part | None = None
    teacher_agrees: bool = False
    teach: Literal["all", "unlabelled"] = "all"
    supervise: Literal["logits", "image"] = "logits"
    held_out: float = 0.1
    val_frames: int = 0
    val_size: tuple[int, int] | None = None
    val_precision: Precision = "f32"
    false_alarms: float = 0.01

    def __post_init__(self) -> None:
        """Refuse values that cannot work, before any data is read.

        Raises:
            OptionError: names the key, the value and what is allowed.
        """
        super().__post_init__()
        for key in ("head_lr", "weight_decay", "source_lr", "source_clip", "distill", "val_frames"):
            self._require(key, getattr(self, key) >= 0, "not negative")
        self._require("encoder_lr", (self.encoder_lr or 0) >= 0, "not negative")
        known = ("adamw", "adam", "sgd")
        self._require("optimiser", self.optimiser in known, f"one of {', '.join(known)}")
        if self.teacher is not None and not self.distill:
            msg = (
                "config: `teacher` teaches by the weight `distill`, which is 0: give it one, as 1."
            )
            raise OptionError(msg)
        self._require("teach", self.teach in TEACH, f"one of {', '.join(TEACH)}")
        if (self.teacher_agrees or self.teach != "all") and not self.distill:
            key = "teacher_agrees" if self.teacher_agrees else "teach"
            msg = f"config: `{key}` says what `distill` teaches, and that is 0: give it a weight."
            raise OptionError(msg)
        if (self.segmenter is None) == (self.start is None):
            msg = "config: give either `segmenter`, a network, or `start`, a run folder."
            raise OptionError(msg)
        if self.detector is None and (self.start is None or self.refiners):
            msg = "config: give `detector`; only a run from `start` can go on with the one of that."
            raise OptionError(msg)
        self._require("keep_start", 0 <= self.keep_start < 1, "from 0 up to, not including, 1")
        if self.keep_start and (self.start is None or self.detector is not None):
            msg = (
                f"config: `keep_start` is {self.keep_start:g}, but the run does not go on with the "
                "detector of a `start`: give `start` and no `detector`, or leave it out."
            )
            raise OptionError(msg)
        self._require("val_precision", self.val_precision in PRECISIONS, ", ".join(PRECISIONS))
        self._require("held_out", 0 < self.held_out < 1, "between 0 and 1")
        self._require("false_alarms", 0 < self.false_alarms < 1, "between 0 and 1")
