"""All that a config names, built and checked to fit together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from roadanomaly.catalogue import called
from roadanomaly.data import DATASETS, FrameSet
from roadanomaly.detectors import DETECTORS, Detector
from roadanomaly.detectors.supervision import foremost
from roadanomaly.errors import DataError, Mistakes, OptionError
from roadanomaly.model import Model, load
from roadanomaly.negatives import NEGATIVES, NegativeSource
from roadanomaly.refiners import REFINERS, Refiner
from roadanomaly.refiners.base import refuse_ids
from roadanomaly.segmenters import SEGMENTERS, Segmenter
from roadanomaly.training.config import TrainConfig
from roadanomaly.training.record import run_record
from roadanomaly.training.validation import Validator
from roadanomaly.types import VOID
from roadanomaly.weights_hash import weights_hash

LOOKED_AT = 20
"""Training frames in which void is looked for, where a detector learns from it."""


@dataclass(frozen=True)
class Parts:
    """What a run trains, and on what.

    Args:
        frames: labelled inlier frames.
        source: of the negatives in training, or None.
        validator: with frames and negatives of its own.
        model: segmenter and detector.
        teacher: whose predictions the segmenter is to keep near, where it is another network.
    """

    frames: FrameSet
    source: NegativeSource | None
    validator: Validator
    model: Model
    teacher: Segmenter | None = None


def build_parts(config: TrainConfig) -> Parts:
    """Build the parts; the torch seed decides the weights that are not loaded.

    Raises:
        UserError: a part cannot be built, or the parts do not fit together; of all parts that
            lack something, what they lack.
    """
    mistakes = Mistakes()
    with mistakes.noted():
        frames = DATASETS.from_spec(config.train_data, "--train_data")
    with mistakes.noted():
        source = NEGATIVES.from_spec(config.negatives) if config.negatives else None
    with mistakes.noted():
        held_out = NEGATIVES.from_spec(config.val_negatives) if config.val_negatives else None
    with mistakes.noted():
        val_frames = DATASETS.from_spec(config.val_data, "--val_data")
    with mistakes.noted():
        model = _model(config)
    with mistakes.noted():
        teacher = SEGMENTERS.from_spec(config.teacher) if config.teacher else None
    mistakes.refuse()
    validator = Validator(
        val_frames, held_out, config.val_frames, config.val_size, model.detector.region
    )
    parts = Parts(frames, source, validator, model, teacher)
    _check(parts, config.start if config.detector is None else None)
    if source is not None:
        source.label_as(frames.classes)
        source.attach(model.segmenter)
        model.detector.trained_on = foremost([source.content, model.detector.trained_on])
    if model.detector.kind == "finetune":
        found = [model.segmenter.learned_from, model.detector.learned_from]
        model.segmenter.learned_from = foremost(found)
    return parts


def _model(config: TrainConfig) -> Model:
    """Build segmenter, detector and refiners, or take over what `start` has of them."""
    if config.detector is None:
        assert config.start is not None
        started = load(config.start)
        started.calibration = None  # of other weights; a finished run has its own
        return started
    mistakes = Mistakes()
    with mistakes.noted():
        begun = load(config.start) if config.start else None
        segmenter = begun.segmenter if begun else SEGMENTERS.from_spec(config.segmenter)
    with mistakes.noted():
        refiners = [REFINERS.from_spec(one) for one in config.refiners]
    with mistakes.noted():
        detector = DETECTORS.from_spec(config.detector)
    mistakes.refuse()
    model = Model(segmenter, detector, refiners=refiners)
    model.record = begun.record if begun else {}
    return model


def _check(parts: Parts, start: str | None = None) -> None:
    """Refuse parts that do not fit together.

    Args:
        parts: all that the config names.
        start: the model whose detector learns on, with its refiners; None where those are new.

    Raises:
        UserError: says which, and what would fit.
    """
    refuse_ids(parts.model.head.refiners, "train")
    _refuse_fitted(parts.model.head.refiners, start)
    _check_learning(parts.model)
    _check_source(parts.model.detector, parts.source, parts.teacher)
    if parts.model.detector.supervision == "void" and not _shows_void(parts.frames):
        msg = (
            f"this detector learns from void pixels, and the first {LOOKED_AT} training frames "
            "label none: give `train_data` the option `void: label`, or labels with 253 for void."
        )
        raise DataError(msg)
    for frames in (parts.frames, parts.validator.frames):
        frames.require_classes(parts.model.segmenter.classes, "the segmenter")
    if parts.teacher is not None:
        parts.frames.require_classes(parts.teacher.classes, "the teacher")


def _refuse_fitted(refiners: Iterable[Refiner], start: str | None) -> None:
    """Refuse refiners that are fitted to a finished model's scores, which training changes.

    A correction, which `adapt` teaches by a loss, is none of them.

    Raises:
        OptionError: names the refiner, and how to train without it.
    """
    for one in refiners:
        if one.learns:
            name = called(one)
            without = (
                f"Leave `{name}` out of `refiners`"
                if start is None
                else f"Start from a model without it, which `roadanomaly fit --run {start} "
                "--refiners '[]' ...` makes,"
            )
            msg = (
                f"train: the refiner `{name}` is fitted to the scores of a finished model, and "
                f"training changes these. {without} and fit it behind the finished model: "
                "`roadanomaly fit --run RUN --refiners ...`."
            )
            raise OptionError(msg)


def _check_learning(model: Model) -> None:
    if model.detector.kind == "fit":
        msg = "this detector is fitted, not trained: run `roadanomaly fit`."
        raise OptionError(msg)
    if model.detector.kind == "posthoc" and not model.segmenter.trainable:
        msg = (
            f"nothing would learn: `{called(model.segmenter)}` cannot be trained, and the detector "
            f"`{called(model.detector)}` has nothing to learn; `roadanomaly fit` gives it a "
            "threshold."
        )
        raise OptionError(msg)


def _check_source(
    detector: Detector, source: NegativeSource | None, teacher: Segmenter | None
) -> None:
    needs = detector.supervision == "negatives" or detector.needs_source
    if needs and source is None:
        msg = "this detector trains on negatives: give `negatives:` in the config."
        raise OptionError(msg)
    if needs and source is not None and source.keeps_labels:
        msg = (
            "this detector trains on pixels that are labelled as negatives, and these `negatives:` "
            "keep the label of what they change: take others, such as paste, or mix them with "
            "others by mixture."
        )
        raise OptionError(msg)
    if teacher is not None and source is not None and source.leaves_unlabelled:
        msg = (
            "`teacher` would teach the surroundings of whole pictures the classes of the street "
            "that was there before: leave it out, or give `surroundings: negative`."
        )
        raise OptionError(msg)


def _shows_void(frames: FrameSet) -> bool:
    """Return whether one of the first frames has a void pixel."""
    labels = (frames[number].label for number in range(min(len(frames), LOOKED_AT)))
    return any(label is not None and bool((label == VOID).any()) for label in labels)


def record_of(parts: Parts, config: TrainConfig, processes: int) -> dict[str, Any]:
    """Return all that somebody needs to repeat the run."""
    held_out = parts.validator.source
    return run_record(
        seed=config.seed,
        config=asdict(config),
        start_weights=weights_hash(parts.model.segmenter),
        earlier=parts.model.record,
        teacher_weights=None if parts.teacher is None else weights_hash(parts.teacher),
        train_data=parts.frames.record(),
        val_data=parts.validator.frames.record(),
        negatives=parts.source.record() if parts.source else None,
        val_negatives=held_out.record() if held_out else None,
        processes=processes,
    )
