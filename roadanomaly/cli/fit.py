"""`roadanomaly fit`: statistics of a detector, and its threshold, from inlier frames."""

from __future__ import annotations

import math
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from jsonargparse import Namespace

from roadanomaly.calibration import Calibration, calibrate, check_rate, just_below
from roadanomaly.cli.computing import check_computing, frames_together
from roadanomaly.cli.config_files import config_words
from roadanomaly.cli.data_words import with_sets_spelled
from roadanomaly.cli.models import pick_device
from roadanomaly.cli.parsing import DEVICES, add_size, new_parser, parse
from roadanomaly.cli.which_model import add_model, the_model
from roadanomaly.data import DATASETS, FrameSet
from roadanomaly.data.derived import Resized
from roadanomaly.data.ground import ON_GROUND, OnGround, ground_classes
from roadanomaly.data.subset import Subset
from roadanomaly.detectors import DETECTORS, Detector
from roadanomaly.detectors.head import Head
from roadanomaly.detectors.supervision import FOREIGN
from roadanomaly.errors import DataError, Mistakes, OptionError
from roadanomaly.evaluation.inlier_alarms import KeptScores, require_ordinary_frames
from roadanomaly.evaluation.truth import truth_of
from roadanomaly.fitting import fit, fit_refiners
from roadanomaly.folders import require_replaceable
from roadanomaly.inliers import scored
from roadanomaly.locks import holding
from roadanomaly.metrics.exact import PixelExact
from roadanomaly.model import FILES, Model, load
from roadanomaly.negatives import NEGATIVES
from roadanomaly.negatives.mixed import MixedFrames
from roadanomaly.refiners import REFINERS, Refiner
from roadanomaly.refiners.correction import Correction
from roadanomaly.report.tables.raised import raised_text
from roadanomaly.segmenters import SEGMENTERS
from roadanomaly.training.fit_config import FitConfig
from roadanomaly.training.record import run_record
from roadanomaly.training.values import refuse_blank
from roadanomaly.weights_hash import weights_hash

EXAMPLES = """
roadanomaly fit --model default --data my_frames/ --out runs/mine
roadanomaly fit --model default --data "drives/*.jpg" --false_alarms 0.002 --out runs/mine
roadanomaly fit --model default --data my_frames/ --false_objects 0.5 --out runs/mine
roadanomaly fit --segmenter.name espnetv2 --segmenter.weights espnetv2_s_2.0_city_1024x512.pth \\
    --detector.name mahalanobis --data.name camvid --size 720 960 --out runs/mahalanobis
roadanomaly fit --run runs/a --detector.name mahalanobis --data.name camvid --out runs/b
roadanomaly fit --run runs/a --refiners '[{name: smooth}]' --data.name camvid --out runs/b
roadanomaly fit --run runs/a --detector.name fusion --detector.rule learned \\
    --detector.heads '[{run: runs/a}, {run: runs/b}]' --data.name camvid --data.split val \\
    --negatives.name paste --negatives.part held_out --out runs/fusion
roadanomaly fit --run runs/a --data camvid --false_alarms 0.001 --out runs/stricter
roadanomaly fit --run runs/a --detector.name mahalanobis --data camvid \\
    --calibration_data my_frames/ --out runs/mine
roadanomaly fit --run runs/a --data.name camvid --validation_data.name laf --out runs/b
roadanomaly fit --run runs/a --data.name camvid --limit 20 --out runs/tried
roadanomaly fit --run runs/a --data.name camvid --precision bf16 --batch 8 --out runs/b
"""
MOST_KEPT = 100
"""Frames whose scores are kept to tell what thresholds raise; `--false_objects` keeps all."""

OBJECTS = "a false object has at least 500 pixels"
UNLABELLED = (
    "without labels, so nobody knows what in them is false; --data.kind ordinary says that "
    "nothing in them is strange"
)
"""What is said of the objects above a threshold."""


def run(arguments: Sequence[str]) -> None:
    """Fit, calibrate and save a model."""
    parser = new_parser("fit", __doc__ or "", EXAMPLES)
    parser.usage = "roadanomaly fit [CONFIG] [--KEY VALUE ...]"
    parser.add_argument("--config", action="config", help="YAML file of these keys; same as CONFIG")
    parser.add_class_arguments(FitConfig, skip={"size"})
    add_size(parser, "height and width to bring frames to, all of --data and --*_data")
    add_model(parser)
    parser.add_argument("--device", type=str, default="auto", help=DEVICES)
    words = config_words(arguments, "fit", FitConfig, ("model", "device"))
    words = with_sets_spelled(words, ("--data", "--calibration_data"))
    given = parse(parser, words)
    refuse_blank(FitConfig, _config(given), "config")
    check_computing(given.precision, given.batch)
    check_rate(given.false_alarms)
    check_false_objects(given, words)
    require_replaceable(Path(given.out) / "model", FILES)
    with holding(Path(given.out), ["fit", *arguments]):
        _fit(given)


def _fit(given: Namespace) -> None:
    torch.manual_seed(given.seed)
    model, data = _parts(given)
    batch = frames_together(given.batch, model.device)
    frames, held_out, validation = data.frames, data.held_out, data.validation
    if given.detector and model.detector.kind == "fit":
        fit(model, frames, given.held_out, batch)
    if given.refiners is not None:
        fit_refiners(model, frames, batch)
    name = held_out.told + (ON_GROUND if isinstance(held_out, OnGround) else "")
    model.calibration, table = _calibrated(model, held_out, name, given, batch)
    if validation is not None:
        threshold = best_f1_threshold(model, validation, batch)
        model.calibration = model.calibration.with_f1(threshold, validation.told)
    made = run_record(
        seed=given.seed,
        config=_config(given),
        precision=given.precision,
        batch=batch,
        start_weights=weights_hash(model.segmenter),
        fit_data=frames.record() if _learning(given, model) else None,
        calibration_data=held_out.record(),
        validation_data=None if validation is None else validation.record(),
        earlier=model.record,
    )
    model.save(f"{given.out}/model", made)
    if given.false_objects is not None:
        sys.stdout.write(
            "the lowest threshold that leaves at most "
            f"{given.false_objects:g} false objects a frame: "
        )
    sys.stdout.write(
        f"{100 * model.calibration.rate:g} % of inlier pixels of {name} score above "
        f"{model.calibration.threshold:.4g}\nthe model is in {given.out}/model\n"
    )
    if named := model.calibration.sensitivities:
        told = ", ".join(f"{one} {score:.4g}" for one, score in named.items())
        sys.stdout.write(f"as many of these pixels as of those before exceed {told}\n")
    sys.stdout.write(table)
    if given.limit:
        sys.stdout.write(
            f"at most {given.limit} frames of each set were used (--limit): fit without it before "
            "you rely on the model\n"
        )


def check_false_objects(given: Namespace, words: Sequence[str]) -> None:
    """Refuse `--false_objects` that is no positive number, or stands beside `--false_alarms`.

    Raises:
        OptionError: says so.
    """
    if given.false_objects is None:
        return
    if not 0 < given.false_objects < math.inf:
        msg = (
            f"--false_objects is {given.false_objects:g}; give a number of false objects a frame "
            "above 0, as 0.5: one on every second frame."
        )
        raise OptionError(msg)
    told = any(word.split("=")[0] == "--false_alarms" for word in words)
    if told or given.false_alarms != FitConfig.false_alarms:
        msg = (
            f"--false_objects {given.false_objects:g} and --false_alarms {given.false_alarms:g} "
            "both set the threshold; give one of them."
        )
        raise OptionError(msg)


def _calibrated(
    model: Model, frames: FrameSet, name: str, given: Namespace, batch: int
) -> tuple[Calibration, str]:
    """Return the calibration on some frames, and a table of what its thresholds raise on these.

    The table is empty where a frame shows an anomaly, and says why where no scores could be kept.
    """
    was = model.calibration
    required = given.false_objects is not None
    every = 1 if required else max(1, math.ceil(len(frames) / MOST_KEPT))
    with KeptScores(len(frames), every, required=required) as kept:
        scores = kept.keep(scored(model, frames, "calibrate", batch))
        found = calibrate(scores, given.false_alarms, name, seed=given.seed)
        if required:
            found = kept.calibration_that_leaves(given.false_objects, found)
        if was is not None:
            found = found.with_sensitivities_of(was)
        if not kept.ordinary:
            return found, ""
        if kept.lost:
            return found, f"what thresholds raise on these frames is not told: {kept.lost}.\n"
        thresholds = {"the model's own": found.threshold, **found.sensitivities}
        table = raised_text({one: kept.raised(score) for one, score in thresholds.items()})
    noted = OBJECTS if kept.labelled else UNLABELLED
    these = "this 1 frame" if len(frames) == 1 else f"these {len(frames)} frames"
    which = these if every == 1 else f"{kept.frames} of {these}"
    return found, f"\non {which} ({noted}):\n{table}"


def _config(given: Namespace) -> dict[str, Any]:
    """Return what was asked for, as `fit CONFIG` takes it."""
    return {one.name: given[one.name] for one in fields(FitConfig)}


@dataclass(frozen=True)
class _Data:
    """Frames to fit on, to calibrate on, and, where they are asked for, with anomalies."""

    frames: FrameSet
    held_out: FrameSet
    validation: FrameSet | None


def _parts(given: Namespace) -> tuple[Model, _Data]:
    """Build all that was named.

    Raises:
        UserError: parts that cannot be built, what all of them lack; or that do not fit together.
    """
    mistakes = Mistakes()
    with mistakes.noted():
        model = _model(given)
    with mistakes.noted():
        refiners = [REFINERS.from_spec(one) for one in given.refiners or ()]
    with mistakes.noted():
        frames = _frames(given, given.data, "--data")
    with mistakes.noted():
        source = NEGATIVES.from_spec(given.negatives) if given.negatives else None
    with mistakes.noted():
        calibration = given.calibration_data or held_out_part(given.data)
        by = "--calibration_data" if given.calibration_data else "--data"
        held_out = _frames(given, calibration, by)
    validation = None
    if given.validation_data:
        with mistakes.noted():
            validation = _frames(given, given.validation_data, "--validation_data")
    mistakes.refuse()
    model = model.to(pick_device(given.device))
    model.precision = given.precision
    if given.refiners is not None:
        _refine(model, refiners)
    learning = _learning(given, model)
    if any(one.supervision in FOREIGN for one in learning):
        refuse_test(frames)
    if model.detector.region == "road":
        held_out, validation = _on_ground(held_out), validation and _on_ground(validation)
    if validation is not None:
        require_anomaly(validation)
    if given.false_objects is not None:
        require_ordinary_frames(held_out)
    if source is not None:
        if not learning:
            msg = (
                "--negatives: nothing here learns from them, since no --detector and no refiner is "
                "fitted; the threshold is set on inlier pixels alone. Leave them out."
            )
            raise OptionError(msg)
        frames = MixedFrames(frames, source)
        if given.detector:
            model.detector.trained_on = source.content
    return model, _Data(frames, held_out, validation)


def _refine(model: Model, refiners: Sequence[Refiner]) -> None:
    """Put other refiners behind the detector, and behind what `adapt` taught it."""
    learned = [one for one in model.head.refiners if isinstance(one, Correction)]
    model.refine(refiners)
    model.head = Head(model.detector, (*learned, *model.head.refiners))


def _learning(given: Namespace, model: Model) -> list[Detector | Refiner]:
    """Return what learns from `--data`: the detector and the refiners that were asked for."""
    detectors = [model.detector] if given.detector and model.detector.kind == "fit" else []
    refiners = model.head.refiners if given.refiners is not None else ()
    return [*detectors, *(one for one in refiners if one.learns)]


def _on_ground(frames: FrameSet) -> FrameSet:
    """Return frames judged on the road alone, where a detector says nothing of the rest.

    Frames without classes of the ground count whole.
    """
    return OnGround(frames) if ground_classes(frames.classes) else frames


def _frames(given: Namespace, part: dict[str, Any], by: str) -> FrameSet:
    frames = DATASETS.from_spec(part, by)
    if given.limit:
        frames = Subset(frames, given.limit)
    if given.size is None:
        return frames
    if min(given.size) < 1:
        msg = f"`--size` must be a height and a width of at least 1 pixel, not {list(given.size)}."
        raise OptionError(msg)
    return Resized(frames, given.size)


def held_out_part(data: dict[str, Any]) -> dict[str, Any]:
    """Return the split `val` of a set, or the set itself where it has no splits, as `folder`."""
    name = data.get("name")
    splits = isinstance(name, str) and name in DATASETS and "split" in DATASETS.options(name)
    return {**data, "split": "val"} if splits else data


def _model(given: Namespace) -> Model:
    if given.segmenter is None and given.detector is None:
        return load(the_model(given.run, given.model))
    if given.segmenter is not None and (given.run or given.model or given.detector is None):
        msg = (
            "--segmenter goes with --detector.name, and without --run or --model, which bring a "
            "segmenter; --help shows examples."
        )
        raise OptionError(msg)
    mistakes = Mistakes()
    with mistakes.noted():
        begun = None if given.segmenter else load(the_model(given.run, given.model))
        network = begun.segmenter if begun else SEGMENTERS.from_spec(given.segmenter)
    with mistakes.noted():
        detector = DETECTORS.from_spec(given.detector)
    mistakes.refuse()
    model = Model(network, detector)
    model.record = begun.record if begun else {}
    return _require_ready(model)


def _require_ready(model: Model) -> Model:
    if model.detector.kind in ("train", "finetune"):
        msg = "this detector is trained, not fitted: `roadanomaly train CONFIG`."
        raise OptionError(msg)
    return model


def refuse_test(frames: FrameSet) -> None:
    """Refuse to learn what is anomalous from frames that models are compared on.

    Raises:
        OptionError: the split `test` of a set, or a set with anomalies of its own in place of
            classes.
    """
    first = frames[0]
    if frames.record().get("split") == "test" or first.anomaly is not None:
        msg = (
            f"{frames.title} is a set to test on, and what is fitted learns from "
            "negatives: give validation frames with class labels, and put negatives in by "
            "`--negatives.name`."
        )
        raise OptionError(msg)


def require_anomaly(frames: FrameSet) -> None:
    """Refuse frames to judge on that show no anomaly; the first that does ends the search.

    Raises:
        DataError: none does, or one of those before carries no label.
    """
    if not any((truth_of(frame) == 1).any() for frame in frames):
        msg = (
            f"--validation_data: no frame of {frames.told} shows an anomaly, so no F1 can be "
            "judged on it; name a set or a split whose labels show some, or leave it out."
        )
        raise DataError(msg)


def best_f1_threshold(model: Model, frames: FrameSet, batch: int = 1) -> float:
    """Return the score above which pixel F1 is highest on frames with anomalies.

    Args:
        model: on its device.
        frames: labelled, some with an anomaly, as `require_anomaly` asks.
        batch: frames that are scored together, at most.
    """
    with tempfile.TemporaryDirectory() as folder:
        metric = PixelExact(Path(folder), thin=True)
        for frame, score in scored(model, frames, "best F1", batch):
            metric.update(frame.id, score, truth_of(frame))
        found = metric.compute()
    return just_below(found.best_f1_threshold)
