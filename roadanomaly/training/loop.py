"""The training loop: one page from a config to a saved, calibrated model."""

from __future__ import annotations

import json
import math
import signal
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch

from roadanomaly.calibration import calibrate
from roadanomaly.errors import DataError, TrainingDiverged, UserError
from roadanomaly.model import load
from roadanomaly.training.average import WeightAverage
from roadanomaly.training.checkpoint import load_checkpoint, save_checkpoint
from roadanomaly.training.config import TrainConfig
from roadanomaly.training.engine import build_fabric
from roadanomaly.training.log import RunLog
from roadanomaly.training.optimiser import build_optimiser, build_schedule
from roadanomaly.training.parts import build_parts, record_of
from roadanomaly.training.run_folder import RunFolder, check_same_run, plain
from roadanomaly.training.step import LEARNS, TrainingStep
from roadanomaly.training.stream import train_loader
from roadanomaly.types import Batch

STEP_MIX = 4


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
        self.folder = RunFolder(config.out)
        self.fabric = build_fabric(config)
        self.fabric.launch()
        torch.manual_seed(config.seed)
        self.parts = build_parts(config)
        self.model = self.parts.model
        self.record = record_of(self.parts, config, self.fabric.world_size)
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
        elif self.fabric.is_global_zero:
            self.folder.begin(config, self.record)
        self.stop = False

    def run(self) -> Path:
        """Train to the end and return the run folder.

        Raises:
            TrainingDiverged: a loss or gradient was not finite; the last checkpoint is kept.
            Interrupted: Ctrl-C or SIGTERM; the state is saved first.
        """
        leader = self.fabric.is_global_zero
        log = RunLog(self.folder.path, self.config.steps, self.step) if leader else None
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
        return self.folder.path

    def _loop(self, log: RunLog | None) -> None:
        config = self.config
        batches = self.batches()
        if log and self.step == 0:
            self._validate(log)
        self.module.train()
        for step in range(self.step + 1, config.steps + 1):
            try:
                losses = self.update(step, batches)
            except DataError as error:
                raise self._kept(error) from error
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

    def _kept(self, error: DataError) -> DataError:
        """Save what was learned before a file that cannot be used, and say so."""
        if self.step == 0 or self.fabric.world_size > 1:
            return error
        self._checkpoint()
        return DataError(f"{error} Step {self.step} is saved: mend the file, then --resume.")

    def _stopping(self) -> bool:
        """Whether any process was asked to stop; all of them answer alike."""
        if self.fabric.world_size == 1:
            return self.stop
        asked = torch.tensor(float(self.stop), device=self.fabric.device)
        return bool(torch.as_tensor(self.fabric.all_reduce(asked)) > 0)

    def batches(self) -> Iterator[Batch]:
        """Yield this process's mixed uint8 batches of the steps that are left.

        Raises:
            UserError: an image, label or negative cannot be used.
        """
        fabric = self.fabric
        loader = train_loader(
            self.config,
            self.parts.frames,
            self.parts.source,
            start=self.step,
            rank=fabric.global_rank,
            world=fabric.world_size,
        )
        for batch in loader:
            if isinstance(batch, UserError):
                raise batch
            yield batch

    def update(self, step: int, batches: Iterator[Batch]) -> dict[str, float]:
        """Take one optimiser step; return the mean loss terms and the rate `lr` that it took."""
        config, fabric = self.config, self.fabric
        torch.manual_seed(hash((config.seed, step, fabric.global_rank)) % 2**63)
        totals: dict[str, float] = {}
        for part in range(config.accumulate):
            batch = self._mixed(next(batches).to(fabric.device), step, part)
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

    def _mixed(self, batch: Batch, step: int, part: int) -> Batch:
        """Let a source that works inside the step mix its negatives in."""
        source = self.parts.source
        if source is None or source.stage != "step":
            return batch
        seed = [self.config.seed, STEP_MIX, step, part, self.fabric.global_rank]
        return source.mix(batch, np.random.default_rng(seed))

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
        saved = self.folder.last.parent
        return TrainingDiverged(
            f"{what} on {', '.join(batch.ids)}. The last good state is in {saved} "
            f"(saved every {self.config.checkpoint_every} steps); try a lower `lr`, `clip: 1.0` "
            "or `32-true`."
        )

    def _validate(self, log: RunLog) -> None:
        """Validate the (averaged) weights and save them if they are the best so far."""
        networks = self.model.networks
        with self.average.put_into(networks) if self.average else nullcontext():
            self.model.eval()
            ready = self.step > 0 or self.model.detector.kind not in LEARNS
            found = self.parts.validator.run(self.model, scored=ready)
            log.validate(self.step, found.values, found.curve, found.sheet)
            measure = found.values.get("ap", found.values["miou"])
            if self.step and (not self.best_step or measure > self.best):
                self.best, self.best_step = measure, self.step
                self.model.save(self.folder.model, self._card(found.values))

    def _finish(self, log: RunLog | None) -> None:
        """Calibrate the best model on inlier validation frames, and say where it is."""
        best = load(self.folder.model, self.fabric.device)
        data = self.parts.validator.frames.record()
        scores = self.parts.validator.inlier_scores(best)
        best.calibration = calibrate(
            scores, self.config.false_alarms, f"{data['name']} {data.get('split', '')}".strip()
        )
        saved = json.loads((self.folder.model / "model.json").read_text())["record"]
        if self.parts.validator.source is not None:
            found = self.parts.validator.run(best).curve
            name = f"{best.calibration.data} with held-out negatives"
            if found.positives:
                best.calibration = best.calibration.with_f1(found.best_f1_threshold, name)
        best.save(self.folder.model, saved)
        if log:
            log.say(f"best at step {self.best_step}; the model is in {self.folder.model}")

    def _card(self, values: dict[str, float]) -> dict[str, Any]:
        return {**self.record, "step": self.step, "validation": values}

    def _checkpoint(self) -> None:
        if self.fabric.is_global_zero:
            state = {
                "step": self.step,
                "best": self.best,
                "best_step": self.best_step,
                "config": json.dumps(plain(self.config)),
                "processes": self.fabric.world_size,
                "networks": self.model.networks.state_dict(),
                "optimiser": self.optimiser.state_dict(),
                "schedule": self.schedule.state_dict(),
                "precision": self.fabric.strategy.precision.state_dict(),
                "average": self.average.state_dict() if self.average else None,
            }
            save_checkpoint(self.folder.last, state)
        self.fabric.barrier()

    def _resume(self) -> None:
        state = load_checkpoint(self.folder.last)
        processes = self.fabric.world_size
        check_same_run(json.loads(state["config"]), state["processes"], self.config, processes)
        self.model.networks.load_state_dict(state["networks"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.schedule.load_state_dict(state["schedule"])
        self.fabric.strategy.precision.load_state_dict(state.get("precision", {}))
        if self.average:
            self.average.load_state_dict(state["average"])
        self.step, self.best = state["step"], state["best"]
        self.best_step = state["best_step"]

    def _ask_stop(self, number: int, _: Any) -> None:
        if self.stop:
            signal.signal(number, signal.SIG_DFL)
        self.stop = True
