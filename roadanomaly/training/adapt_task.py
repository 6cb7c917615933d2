"""The task of adapting a trained model to ordinary frames of a person's own roads."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch import nn
from torch.optim import AdamW

from roadanomaly.calibration import Calibration, calibrate
from roadanomaly.data import DATASETS, FrameSet
from roadanomaly.data.images import write_image
from roadanomaly.data.stack import stack
from roadanomaly.files import write_text
from roadanomaly.folders import standing
from roadanomaly.model import Model, load
from roadanomaly.negatives import NEGATIVES
from roadanomaly.negatives.mixed import MixedFrames
from roadanomaly.refiners.correction import Correction
from roadanomaly.report.adapted import before_and_after
from roadanomaly.report.pictures import column
from roadanomaly.training.adapt_config import AdaptConfig
from roadanomaly.training.adapt_measure import (
    Examined,
    Examiner,
    highest_threshold,
    lowest_threshold,
    merged,
    score_of,
)
from roadanomaly.training.adapt_parts import (
    has_correction,
    load_calibrated,
    negatives_to_learn,
    note_negatives,
    prepare_model,
)
from roadanomaly.training.adapt_step import AdaptStep
from roadanomaly.training.adapted import RESULT, SHEET, Adapted, Figures
from roadanomaly.training.log import RunLog
from roadanomaly.training.optimiser import Plan, build_schedule
from roadanomaly.training.record import run_record
from roadanomaly.training.run_folder import RunFolder
from roadanomaly.training.task import Task
from roadanomaly.types import INLIER, Frame, Segmentation
from roadanomaly.weights_hash import weights_hash

SCALED_ON = 24
"""Frames on which the scales of a correction's maps are measured."""

PICTURES = 6

USUAL = 0.01
"""Rate of a calibration before its threshold is set."""


class AdaptTask(Task):
    """Adapts, sets the threshold anew, and says what the model had and has.

    Args:
        config: the whole run.
        folder: where the model goes.

    Raises:
        UserError: a part of the config cannot be built, or the model cannot be adapted.
    """

    module: AdaptStep

    def __init__(self, config: AdaptConfig, folder: RunFolder) -> None:
        self.config, self.folder = config, folder
        self.began, self.spent = time.perf_counter(), 0.0
        self.before, self.model = load_calibrated(config.model), load_calibrated(config.model)
        learning = prepare_model(self.model, config)
        self.frames: FrameSet = DATASETS.from_spec(config.train_data)
        self.source = negatives_to_learn(config.negatives)
        self.source.label_as(self.frames.classes)
        note_negatives(self.model, self.source.content, config)
        held_out = DATASETS.from_spec(config.val_data)
        mixed = MixedFrames(held_out, NEGATIVES.from_spec(config.val_negatives))
        world = DATASETS.from_spec(config.world)
        self.examiner = Examiner(held_out, mixed, world, config.least)
        self.module = AdaptStep(self.model, self.before, learning, config)
        self.about: dict[str, Any] = {}
        self.had: Figures | None = None
        self.has: Figures | None = None
        self.best: Examined | None = None
        self.latest: tuple[Examined, Figures]

    @property
    def learned(self) -> nn.Module:
        """All parts of the model."""
        return self.model.networks

    def prepare(self, *, quiet: bool) -> bool:
        """Measure the scales of the maps that a fresh correction reads."""
        del quiet
        if has_correction(self.before.head) or not has_correction(self.model.head):
            return False
        own = (frame for frame in self.frames if _is_own(frame))
        some = [frame for frame, _ in zip(own, range(SCALED_ON), strict=False)]
        for one in self.model.head.refiners:
            if isinstance(one, Correction):
                one.standardise(map(self._segment, some))
        return True

    @torch.inference_mode()
    def _segment(self, frame: Frame) -> Segmentation:
        image = stack([frame]).to(self.model.device).image
        return self.model.head.look(self.model.segmenter, image)

    def plans(self, *, fused: bool = False) -> list[Plan]:
        """Return AdamW, without decay: what learns is drawn to where it began, not to 0."""
        config = self.config
        network = {id(one) for one in self.model.segmenter.parameters()}
        groups = [
            {"params": [one for one in self.module.learning if (id(one) in network) == moves]}
            | {"lr": config.segmenter_lr if moves else config.lr}
            for moves in (False, True)
        ]
        groups = [group for group in groups if group["params"]]
        optimiser = AdamW(groups, weight_decay=0, fused=fused or None)
        schedule = build_schedule(optimiser, config.schedule, config.warmup, config.steps)
        return [Plan("heads", optimiser, schedule, config.clip)]

    def record(self, processes: int) -> dict[str, Any]:
        """Return all that somebody needs to repeat the run."""
        assert self.source is not None
        self.about = run_record(
            seed=self.config.seed,
            config=asdict(self.config),
            start_weights=weights_hash(self.before.networks),
            earlier=self.before.record,
            train_data=self.frames.record(),
            val_data=self.examiner.frames.record(),
            negatives=self.source.record(),
            val_negatives=self.examiner.mixed.negatives.record(),
            processes=processes,
        )
        return self.about

    def examine(self, step: int, rank: int, world: int) -> Examined:
        """Score this process's share of the held-out frames."""
        return self.examiner.examine(self.model, rank, world)

    def validate(self, step: int, log: RunLog, parts: Sequence[Examined]) -> float:
        """Set the threshold, and return the recall less the share of false objects that is left."""
        found = merged(parts)
        assert self.before.calibration is not None
        threshold = self.before.calibration.threshold
        if self.had is None:
            self.had = self.examiner.figures(found, threshold)
        elif step:
            threshold = self._threshold(found, self.had)
        figures = self.examiner.figures(found, threshold)
        self.latest = found, figures
        log.judge(step, figures.scalars(), figures.in_words())
        return figures.worth(self.had)

    def _threshold(self, found: Examined, had: Figures) -> float:
        """Return the lowest threshold that reaches the goal, or a lower one that costs no recall.

        A threshold is no higher than the goal needs, since the strange objects of real roads score
        lower than drawn ones, and no lower than what leaves as many false objects as there were.
        """
        config = self.config
        goal, floor = (
            lowest_threshold(found, share * had.false_objects, config.least)
            for share in (config.goal, 1.0)
        )
        limit = highest_threshold(found.middles(), had.recall - config.spare)
        return goal if limit is None else max(min(goal, limit), floor)

    def save(self, step: int) -> None:
        """Write the model into the run folder; its threshold is set at the end."""
        self.best, self.has = self.latest
        self.model.save(self.folder.model, {**self.about, "step": step})

    def finish(self, log: RunLog | None, best_step: int, device: torch.device) -> None:
        """Set the best model's threshold, and write `adapted.json` and the sheet of the worst."""
        best = load(self.folder.model, device)
        assert self.had is not None
        assert self.has is not None
        found = self.examiner.examine(best) if self.best is None else self.best
        name = f"{len(self.examiner.frames)} held-out frames of one's own"
        scores = (score.ravel() for _, score in sorted(found.scores.items()))
        calibration = calibrate(scores, USUAL, name, seed=self.config.seed)
        best.calibration = _named_like(calibration.at_score(self.has.threshold), self.before)
        self.has = self.examiner.figures(found, best.calibration.threshold)
        saved = json.loads((standing(self.folder.model) / "model.json").read_text())["record"]
        best.save(self.folder.model, saved)
        config = self.config
        told = Adapted(self.had, self.has, best_step, self._minutes(), config.fps, config.least)
        write_text(self.folder.path / RESULT, json.dumps(told.as_dict(), indent=1) + "\n")
        self._draw(best, found)
        if log:
            log.say(f"{self.which(best_step)}; the model is in {self.folder.model}")

    def _draw(self, best: Model, found: Examined) -> None:
        """Draw the held-out frames with the most false objects, before and after."""
        assert self.had is not None
        assert self.has is not None
        counts = found.false_objects(self.has.threshold, self.config.least)
        rows = []
        self.before.to(best.device)
        for number in sorted(counts, key=lambda one: -counts[one])[:PICTURES]:
            frame = self.examiner.frames[number]
            scores = score_of(self.before, frame), found.scores[number]
            thresholds = self.had.threshold, self.has.threshold
            rows.append(before_and_after(frame, scores, thresholds, self.config.least))
        write_image(self.folder.path / SHEET, column(rows))

    def _minutes(self) -> float:
        return (self.spent + time.perf_counter() - self.began) / 60

    def state_dict(self) -> dict[str, Any]:
        """Return what the model had, and the figures of the best so far."""
        figures = {"had": self.had, "has": self.has}
        told = {key: one and one.as_dict() for key, one in figures.items()}
        return {"told": json.dumps(told), "spent": 60 * self._minutes()}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Restore it."""
        told = json.loads(saved["told"])
        self.had, self.has = (told[key] and Figures.from_dict(told[key]) for key in ("had", "has"))
        self.spent = saved["spent"]


def _named_like(calibration: Calibration, before: Model) -> Calibration:
    """Return a calibration whose named thresholds are as much rarer as its own threshold."""
    was = before.calibration
    assert was is not None
    rarer = calibration.rate / was.at_score(was.threshold).rate
    return calibration.with_sensitivities_of(was, rarer)


def _is_own(frame: Frame) -> bool:
    return frame.label is not None and bool((frame.label == INLIER).any())
