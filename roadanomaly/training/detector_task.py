"""The task of training a detector on a segmenter, or a segmenter alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from roadanomaly.calibration import calibrate, just_below
from roadanomaly.data import FrameSet
from roadanomaly.data.derived import Resized
from roadanomaly.data.transforms import Degrade
from roadanomaly.fitting import run_passes, split_for
from roadanomaly.flows import ImageFlow
from roadanomaly.flows.store import save_flow
from roadanomaly.folders import standing
from roadanomaly.inliers import inlier_scores
from roadanomaly.model import Model, load
from roadanomaly.negatives.mixed import MixedFrames
from roadanomaly.segmenters import Segmenter
from roadanomaly.training.blend import blend
from roadanomaly.training.config import TrainConfig
from roadanomaly.training.log import RunLog
from roadanomaly.training.optimiser import Plan, build_plans
from roadanomaly.training.parts import build_parts, record_of
from roadanomaly.training.run_folder import RunFolder
from roadanomaly.training.source_watch import watch_source
from roadanomaly.training.step import LEARNS, TrainingStep
from roadanomaly.training.task import Task, Trial
from roadanomaly.training.validation import Examined, Validation
from roadanomaly.types import Batch

KEPT = "keep_start"
"""What tells in a model's record that its weights are blended, so that it happens once."""


class DetectorTask(Task):
    """Trains, selects by validation, calibrates.

    Args:
        config: the whole run.
        folder: where the model goes.

    Raises:
        UserError: a part of the config cannot be built.
    """

    module: TrainingStep

    def __init__(self, config: TrainConfig, folder: RunFolder) -> None:
        self.config = config
        self.folder = folder
        self.parts = build_parts(config)
        self.source, self.model = self.parts.source, self.parts.model
        detector, share = self.model.detector, config.held_out
        self.frames = split_for(detector, self.parts.frames, share).held_in
        self.split = split_for(detector, self._whole_frames(), share)
        self.flow = self.source.learned_flow() if self.source else None
        self.model.precision = config.val_precision
        self.model.detector.expect(config.steps * config.accumulate)
        self.module = TrainingStep(
            self.model.segmenter,
            self.model.detector,
            self.source,
            freeze_batch_norm=config.freeze_batch_norm,
            supervise=config.supervise,
            distill=config.distill,
            degrade=Degrade(p=config.degrade),
            teacher=self.parts.teacher,
            agree=config.teacher_agrees,
            unlabelled=config.teach == "unlabelled",
        )
        self.about: dict[str, Any] = {}
        self.values: dict[str, float] = {}

    def _whole_frames(self) -> FrameSet:
        """Return what the detector's passes see: training frames as a validation would make them.

        They are brought to `val_size`, and hold the training's negatives if a loader can put them
        in.
        """
        frames, size = self.parts.frames, self.config.val_size
        sized = Resized(frames, size) if size else frames
        mixes = self.source is not None and self.source.stage == "loader"
        return MixedFrames(sized, self.source) if self.source and mixes else sized

    def _walk(self, *, held_out: bool, quiet: bool) -> bool:
        """Take statistics in float32, whatever validations compute in: the saved model has them."""
        passes = [one for one in self.model.detector.fit_passes if one.held_out == held_out]
        self.model.precision = "f32"
        run_passes(self.model, passes, self.split, self.config.batch_size, quiet=quiet)
        self.model.precision = self.config.val_precision
        return bool(passes)

    def prepare(self, *, quiet: bool) -> bool:
        """Walk over the held-in frames, as the detector asks.

        One that goes on from `start` keeps its statistics: what it has learned rests on them.
        """
        if self.config.detector is None and self.model.detector.ready:
            return False
        return self._walk(held_out=False, quiet=quiet)

    @property
    def learned(self) -> nn.Module:
        """Segmenter and detector."""
        return self.model.networks

    def learned_flow(self) -> ImageFlow | None:
        """Return the flow that learns in the source or in the detector, where one has one."""
        return self.flow or self.model.detector.learned_flow()

    def compilable(self) -> list[tuple[nn.Module, Trial]]:
        """Return the segmenter, if it learns or is asked by what learns."""
        if not self.model.detector.reads_segmentation:
            return []
        return [(self.model.segmenter, self._segment)]

    def _segment(self, network: nn.Module, batch: Batch) -> None:
        assert isinstance(network, Segmenter)
        segmentation = network(batch.image, self.model.head.needs)
        if self.module.moving:
            torch.stack(list(network.loss(segmentation, batch.label).values())).sum().backward()

    def plans(self, *, fused: bool = False) -> list[Plan]:
        """Return the optimisers of networks and source."""
        return build_plans(self.module, self.config, fused=fused)

    def record(self, processes: int) -> dict[str, Any]:
        """Return all that somebody needs to repeat the run."""
        moved = sum(one.numel() for one in self.module.parameters() if one.requires_grad)
        self.about = record_of(self.parts, self.config, processes) | {"trained_parameters": moved}
        return self.about

    def before_validation(self, step: int, *, quiet: bool) -> None:
        """Walk over the held-out frames, as the detector asks."""
        if self._ready(step):
            self._walk(held_out=True, quiet=quiet)

    def examine(self, step: int, rank: int, world: int) -> Examined:
        """Score this process's share of the validation frames."""
        self.model.eval()
        validator = self.parts.validator
        share = range(rank, len(validator.frames), world)
        return validator.examine(self.model, share, scored=self._ready(step))

    def _ready(self, step: int) -> bool:
        return step > 0 or self.model.detector.kind not in LEARNS

    def validate(self, step: int, log: RunLog, parts: Sequence[Examined]) -> float:
        """Return the average precision on held-out negatives, or without them the mIoU.

        Where neither can tell steps apart, since the segmenter is frozen, the last is the best.
        """
        found = self.parts.validator.sum_up(parts)
        log.validate(step, found.values, found.curve, found.sheet)
        if found.explained is not None:
            log.show(step, {"validation/explained": found.explained}, {})
        if self.flow is not None:
            assert self.source is not None
            log.show(step, *watch_source(self.source, self.flow, self.parts.validator, self.config))
        self.values = found.values
        frozen = self.model.detector.kind == "train"
        return found.values.get("ap", float(step) if frozen else found.values["miou"])

    def save(self, step: int) -> None:
        """Write the model into the run folder, and beside it the flow of images that learned."""
        card = {**self.about, "step": step, "validation": self.values}
        self.model.save(self.folder.model, card)
        flow = self.learned_flow()
        if flow is not None:
            save_flow(flow, self.folder.path / "flow", card)

    def finish(self, log: RunLog | None, best_step: int, device: torch.device) -> None:
        """Calibrate the best model on inlier validation frames, and say where it is."""
        best = load(self.folder.model, device)
        saved = json.loads((standing(self.folder.model) / "model.json").read_text())["record"]
        if self.config.keep_start and KEPT not in saved:
            assert self.config.start is not None
            begun = load(self.config.start, device)
            blend(best.networks, begun.networks, self.config.keep_start)
            saved[KEPT] = self.config.keep_start
        title = self.parts.validator.title
        scores = inlier_scores(best, self.parts.validator.inliers)
        best.calibration = calibrate(scores, self.config.false_alarms, title)
        if self.parts.validator.source is not None:
            exact = self.parts.validator.run(best)
            found = exact.curve
            if log and self.config.val_precision != "f32":
                log.say(self._effect_of_half(best, exact))
            if found.positives:
                name = f"{best.calibration.data} with held-out negatives"
                threshold = just_below(found.best_f1_threshold)
                best.calibration = best.calibration.with_f1(threshold, name)
        best.save(self.folder.model, saved)
        if log:
            log.say(f"{self.which(best_step)}; the model is in {self.folder.model}")

    def _effect_of_half(self, best: Model, exact: Validation) -> str:
        """Say what half precision in the validations changed."""
        best.precision = self.config.val_precision
        half = self.parts.validator.run(best)
        best.precision = "f32"
        figures = [
            f"{name} {100 * half.values[key]:.2f} ({100 * exact.values[key]:.2f} in float32)"
            for key, name in {"ap": "AP", "fpr95": "FPR95", "miou": "mIoU"}.items()
        ]
        return f"the best model validated in {self.config.val_precision}: {', '.join(figures)}"

    def after_step(self, mean: Callable[[Tensor], Tensor]) -> None:
        """Pass it on to the detector."""
        self.model.detector.after_step(mean)

    def state_dict(self) -> dict[str, Any]:
        """Return the source's weights."""
        source = self.module.source
        return {} if source is None else {"source": source.state_dict()}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Restore the source's weights."""
        if self.module.source is not None:
            self.module.source.load_state_dict(saved["source"])
