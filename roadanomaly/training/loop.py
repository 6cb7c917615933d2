"""The training loop: one page from a config to a saved, calibrated model."""

from __future__ import annotations

import json
import math
import shutil
import signal
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import yaml
from torch.utils.data import DataLoader

from roadanomaly.calibration import calibrate
from roadanomaly.data import DATASETS
from roadanomaly.detectors import DETECTORS
from roadanomaly.errors import DataError, OptionError, TrainingDiverged, UserError
from roadanomaly.model import Model, build_part, load
from roadanomaly.negatives import NEGATIVES
from roadanomaly.segmenters import SEGMENTERS
from roadanomaly.training.average import WeightAverage
from roadanomaly.training.checkpoint import load_checkpoint, save_checkpoint
from roadanomaly.training.config import TrainConfig
from roadanomaly.training.engine import build_fabric
from roadanomaly.training.log import RunLog
from roadanomaly.training.optimiser import build_optimiser, build_schedule
from roadanomaly.training.record import run_record, weights_hash
from roadanomaly.training.step import LEARNS, TrainingStep
from roadanomaly.training.stream import train_loader
from roadanomaly.training.validation import Validator
from roadanomaly.types import Batch

FREE_KEYS = ("out", "workers", "accelerator", "devices", "checkpoint_every", "log_every")


class Interrupted(Exception):
    """The run was asked to stop; its state is saved."""


class Trainer:
    """One run of a config.

    Args:
        config: the whole run.
        resume: continue from the run folder's last checkpoint.

    Raises:
        UserError: the run folder exists (without `resume`) or cannot be written, or a part
            of the config cannot be built.
    """

    def __init__(self, config: TrainConfig, *, resume: bool = False) -> None:
        self.config = config
        self.folder = Path(config.out)
        self.fabric = build_fabric(config)
        self.fabric.launch()
        torch.manual_seed(config.seed)
        self.frames = build_part(DATASETS, config.train_data)
        self.source = build_part(NEGATIVES, config.negatives) if config.negatives else None
        held_out = build_part(NEGATIVES, config.val_negatives) if config.val_negatives else None
        self.validator = Validator(
            build_part(DATASETS, config.val_data), held_out, config.val_frames, config.val_size
        )
        segmenter = (
            load(config.start).segmenter
            if config.start
            else build_part(SEGMENTERS, config.segmenter or {})
        )
        self.model = Model(segmenter, build_part(DETECTORS, config.detector))
        self._check_parts()
        if self.model.detector.kind == "finetune":
            self.model.segmenter.learned_from = self.model.detector.supervision
        self.record = self._record()
        module = TrainingStep(
            self.model.segmenter,
            self.model.detector,
            freeze_batch_norm=config.freeze_batch_norm,
            supervise=config.supervise,
            distill=config.distill,
        )
        optimiser = build_optimiser(module, config)
        self.schedule = build_schedule(optimiser, config)
        self.module, self.optimiser = self.fabric.setup(module, optimiser)
        self.average = (
            WeightAverage(self.model.networks, config.average) if config.average else None
        )
        self.step, self.best, self.best_step = 0, -math.inf, 0
        if resume:
            self._resume()
        else:
            self._start_folder()
        self.stop = False

    @property
    def last(self) -> Path:
        """The checkpoint that `resume` reads."""
        return self.folder / "checkpoints" / "last.pt"

    def run(self) -> Path:
        """Train to the end and return the run folder.

        Raises:
            TrainingDiverged: a loss or gradient was not finite; the last checkpoint is kept.
            Interrupted: Ctrl-C or SIGTERM; the state is saved first.
        """
        leader = self.fabric.is_global_zero
        log = RunLog(self.folder, self.config.steps, self.step) if leader else None
        handlers = {s: signal.signal(s, self._ask_stop) for s in (signal.SIGINT, signal.SIGTERM)}
        try:
            self._loop(log)
            self.fabric.barrier()
            if leader:
                self._finish(log)
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
            if log:
                log.close()
        return self.folder

    def _loop(self, log: RunLog | None) -> None:
        config = self.config
        batches = self.batches()
        if log and self.step == 0:
            self._validate(log)
        self.module.train()
        for step in range(self.step + 1, config.steps + 1):
            losses = self.update(step, batches)
            self.step = step
            if log:
                log.advance()
                if step % config.log_every == 0 or step == config.steps:
                    log.train(step, losses)
            validates = config.validate_every and step % config.validate_every == 0
            if log and (validates or step == config.steps):
                self._validate(log)
                self.module.train()
            stopping = self._stopping()
            if step % config.checkpoint_every == 0 or step == config.steps or stopping:
                self._checkpoint()
            if stopping:
                msg = f"stopped after step {step}; continue with --resume."
                raise Interrupted(msg)

    def _stopping(self) -> bool:
        """Whether any process was asked to stop; all of them answer alike."""
        if self.fabric.world_size == 1:
            return self.stop
        asked = torch.tensor(float(self.stop), device=self.fabric.device)
        return bool(torch.as_tensor(self.fabric.all_reduce(asked)) > 0)

    def batches(self) -> Iterator[Batch]:
        """Return this process's mixed uint8 batches of the steps that are left."""
        fabric = self.fabric
        loader: DataLoader[Batch] = train_loader(
            self.config,
            self.frames,
            self.source,
            start=self.step,
            rank=fabric.global_rank,
            world=fabric.world_size,
        )
        return iter(loader)

    def update(self, step: int, batches: Iterator[Batch]) -> dict[str, float]:
        """Take one optimiser step; return the mean loss terms and the rate `lr` that it took."""
        config, fabric = self.config, self.fabric
        torch.manual_seed(hash((config.seed, step, fabric.global_rank)) % 2**63)
        totals: dict[str, float] = {}
        for part in range(config.accumulate):
            batch = next(batches).to(fabric.device)
            waits = part < config.accumulate - 1
            with fabric.no_backward_sync(self.module, enabled=waits):
                terms = self.module(batch)
                loss = sum(terms.values()) / config.accumulate
                self._require_finite(loss, terms, step, batch)
                fabric.backward(loss)
            for key, value in terms.items():
                totals[key] = totals.get(key, 0.0) + value.item() / config.accumulate
        self._clip(step, batch)
        totals["lr"] = float(self.schedule.get_last_lr()[0])
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self.schedule.step()
        if self.average:
            self.average.update(self.model.networks)
        return totals

    def _clip(self, step: int, batch: Batch) -> None:
        """Bound the gradient's norm, and refuse one that is not finite."""
        norm = self.fabric.clip_gradients(
            self.module,
            self.optimiser,
            max_norm=self.config.clip or math.inf,
            error_if_nonfinite=False,
        )
        skipped = self.config.precision == "16-mixed"  # its scaler leaves such a step out
        if norm is not None and not skipped and not torch.isfinite(norm):
            raise self._diverged(f"the gradient became {norm.item()} at step {step}", batch)

    def _require_finite(
        self, loss: torch.Tensor, terms: dict[str, torch.Tensor], step: int, batch: Batch
    ) -> None:
        if not torch.isfinite(loss):
            values = ", ".join(f"{key} {value.item():.4g}" for key, value in terms.items())
            raise self._diverged(f"the loss became {loss.item()} at step {step} ({values})", batch)

    def _diverged(self, what: str, batch: Batch) -> TrainingDiverged:
        return TrainingDiverged(
            f"{what} on {', '.join(batch.ids)}. The last good state is in {self.last.parent} "
            f"(saved every {self.config.checkpoint_every} steps); try a lower `lr`, `clip: 1.0` "
            "or `32-true`."
        )

    def _validate(self, log: RunLog) -> None:
        """Validate the (averaged) weights and save them if they are the best so far."""
        with self._averaged():
            self.model.eval()
            ready = self.step > 0 or self.model.detector.kind not in LEARNS
            found = self.validator.run(self.model, scored=ready)
            log.validate(self.step, found.values, found.curve, found.sheet)
            measure = found.values.get("ap", found.values["miou"])
            if self.step and (not self.best_step or measure > self.best):
                self.best, self.best_step = measure, self.step
                self.model.save(self.folder / "model", self._card(found.values))

    def _averaged(self) -> Any:
        if self.average is None:
            return nullcontext()
        return _Swapped(self.model, self.average)

    def _finish(self, log: RunLog | None) -> None:
        """Calibrate the best model on inlier validation frames, and say where it is."""
        best = load(self.folder / "model", self.fabric.device)
        data = self.validator.frames.record()
        scores = self.validator.inlier_scores(best)
        best.calibration = calibrate(
            scores, self.config.false_alarms, f"{data['name']} {data.get('split', '')}".strip()
        )
        saved = json.loads((self.folder / "model" / "model.json").read_text())["record"]
        best.save(self.folder / "model", saved)
        if log:
            log.say(f"best at step {self.best_step}; the model is in {self.folder / 'model'}")

    def _card(self, values: dict[str, float]) -> dict[str, Any]:
        return {**self.record, "step": self.step, "validation": values}

    def _checkpoint(self) -> None:
        if self.fabric.is_global_zero:
            state = {
                "step": self.step,
                "best": self.best,
                "best_step": self.best_step,
                "config": json.dumps(asdict(self.config)),
                "networks": self.model.networks.state_dict(),
                "optimiser": self.optimiser.state_dict(),
                "schedule": self.schedule.state_dict(),
                "precision": self.fabric.strategy.precision.state_dict(),
                "average": self.average.state_dict() if self.average else None,
            }
            save_checkpoint(self.last, state)
        self.fabric.barrier()

    def _resume(self) -> None:
        state = load_checkpoint(self.last)
        self._same_config(json.loads(state["config"]))
        self.model.networks.load_state_dict(state["networks"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.schedule.load_state_dict(state["schedule"])
        self.fabric.strategy.precision.load_state_dict(state.get("precision", {}))
        if self.average:
            self.average.load_state_dict(state["average"])
        self.step, self.best = state["step"], state["best"]
        self.best_step = state["best_step"]

    def _same_config(self, saved: dict[str, Any]) -> None:
        now = json.loads(json.dumps(asdict(self.config)))
        for key, value in now.items():
            if key not in FREE_KEYS and saved.get(key) != value:
                msg = (
                    f"--resume: `{key}` was {saved.get(key)!r} and is {value!r} now. A resumed run "
                    "must be the same run: set it back, or start another with --out."
                )
                raise OptionError(msg)

    def _start_folder(self) -> None:
        if not self.fabric.is_global_zero:
            return
        if self.last.exists():
            msg = (
                f"{self.folder} already holds a run; continue it with --resume, give another "
                "folder with --out, or delete it."
            )
            raise UserError(msg)
        if (self.folder / "model").exists():
            msg = (
                f"{self.folder} already holds a model, and no checkpoint to continue from; give "
                "another folder with --out, or delete it."
            )
            raise UserError(msg)
        try:
            shutil.rmtree(self.folder / "tensorboard", ignore_errors=True)
            self.folder.mkdir(parents=True, exist_ok=True)
            text = yaml.safe_dump(json.loads(json.dumps(asdict(self.config))), sort_keys=False)
            (self.folder / "config.yaml").write_text(text)
            (self.folder / "record.json").write_text(json.dumps(self.record, indent=1) + "\n")
        except OSError as error:
            msg = f"the run folder {self.folder} cannot be written: {error.strerror}. Give --out."
            raise UserError(msg) from error

    def _record(self) -> dict[str, Any]:
        config = self.config
        return run_record(
            seed=config.seed,
            config=asdict(config),
            start_weights=weights_hash(self.model.segmenter),
            train_data=self.frames.record(),
            val_data=self.validator.frames.record(),
            negatives=self.source.record() if self.source else None,
            val_negatives=self.validator.source.record() if self.validator.source else None,
            processes=self.fabric.world_size,
        )

    def _check_parts(self) -> None:
        if self.model.detector.kind == "fit":
            msg = "this detector is fitted, not trained: run `roadanomaly fit`."
            raise OptionError(msg)
        if self.model.detector.supervision == "negatives" and self.source is None:
            msg = "this detector trains on negatives: give `negatives:` in the config."
            raise OptionError(msg)
        classes = self.model.segmenter.classes
        for frames in (self.frames, self.validator.frames):
            if frames.classes != classes:
                msg = (
                    f"the data set has {len(frames.classes)} classes and the segmenter "
                    f"{len(classes)}, or their names differ. First of each: "
                    f"{frames.classes[:3]} and {classes[:3]}."
                )
                raise DataError(msg)

    def _ask_stop(self, number: int, _: Any) -> None:
        if self.stop:
            signal.signal(number, signal.SIG_DFL)
        self.stop = True


class _Swapped:
    """Puts averaged weights into a model, and the trained ones back."""

    def __init__(self, model: Model, average: WeightAverage) -> None:
        self.networks = model.networks
        self.average = average

    def __enter__(self) -> None:
        self.trained = {k: v.detach().clone() for k, v in self.networks.state_dict().items()}
        self.networks.load_state_dict(self.average.state)

    def __exit__(self, *_: Any) -> None:
        self.networks.load_state_dict(self.trained)
