"""The training loop: one page from a config to what was learned, whatever the task."""

from __future__ import annotations

import json
import math
import signal
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from roadanomaly.errors import DataError, TrainingDiverged, UserError
from roadanomaly.formats import upgrade_checkpoint
from roadanomaly.training.average import WeightAverage
from roadanomaly.training.checkpoint import load_checkpoint, save_checkpoint
from roadanomaly.training.engine import MeetingPoint, build_fabric
from roadanomaly.training.held import Held, TakesHeld
from roadanomaly.training.log import RunLog
from roadanomaly.training.optimiser import Plan
from roadanomaly.training.run_config import RunConfig
from roadanomaly.training.run_folder import RunFolder, check_same_run, plain
from roadanomaly.training.stream import train_loader
from roadanomaly.training.tasks import TASKS
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

    def __init__(self, config: RunConfig, *, resume: bool = False) -> None:
        self.config = config
        self.folder = RunFolder(config.out)
        self.fabric = build_fabric(config)
        self.fabric.launch()
        self.meeting_point = MeetingPoint(self.fabric)
        torch.manual_seed(config.seed)
        self.task = TASKS.get(config.task)(config, self.folder)
        self.record = self.task.record(self.fabric.world_size)
        plans = self.task.plans()
        self.module, *optimisers = self.fabric.setup(
            TakesHeld(self.task.module), *[plan.optimiser for plan in plans]
        )
        self.plans: list[Plan] = [
            replace(plan, optimiser=one) for plan, one in zip(plans, optimisers, strict=True)
        ]
        self.average = WeightAverage(self.task.learned, config.average) if config.average else None
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
        if self.step == 0:
            self._prepare()
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
            if validates or step == config.steps:
                self._validate(log)
                self.module.train()
            stopping = self._stopping()
            if step % config.checkpoint_every == 0 or step == config.steps or stopping:
                self._checkpoint()
            if stopping:
                msg = f"stopped after step {step}; continue with --resume."
                raise Interrupted(msg)

    def _prepare(self) -> None:
        """Let the task do what comes before the first step; all processes then hold the same."""
        if self.task.prepare(quiet=not self.fabric.is_global_zero):
            self.meeting_point.share(self.task.learned)
            if self.average:
                self.average = WeightAverage(self.task.learned, self.config.average)

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
        """Yield this process's uint8 batches of the steps that are left, as the loader mixed them.

        Raises:
            UserError: an image, label or negative cannot be used.
        """
        fabric = self.fabric
        loader = train_loader(
            self.config,
            self.task.frames,
            self.task.source,
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
        totals: dict[str, float] = {}
        for part in range(config.accumulate):
            batch = next(batches).to(fabric.device)
            self._seed(step, part)
            seed = [config.seed, STEP_MIX, step, part, fabric.global_rank]
            waits = part < config.accumulate - 1
            with fabric.no_backward_sync(self.module, enabled=waits):
                terms = self.module(Held(batch), np.random.default_rng(seed))
                loss = sum(terms.values()) / config.accumulate
                self._require_finite(loss, terms, step, batch)
                fabric.backward(loss)
            for key, value in terms.items():
                totals[key] = totals.get(key, 0.0) + value.item() / config.accumulate
        for plan in self.plans:
            self._clip(plan, step, batch)
            key = "lr" if plan is self.plans[0] else f"lr_{plan.name}"
            totals[key] = float(plan.schedule.get_last_lr()[0])
        for plan in self.plans:
            plan.optimiser.step()
            plan.optimiser.zero_grad(set_to_none=True)
            plan.schedule.step()
        self.task.after_step(self._mean)
        if self.average:
            self.average.update(self.task.learned)
        return totals

    def _mean(self, value: torch.Tensor) -> torch.Tensor:
        """Return the mean of a tensor over all processes."""
        if self.fabric.world_size == 1:
            return value
        return torch.as_tensor(self.fabric.all_reduce(value, reduce_op="mean"))

    def _seed(self, step: int, part: int) -> None:
        """Make a pass draw the same numbers in a resumed run, whose loader starts only then."""
        numbers = (self.config.seed, step, part, self.fabric.global_rank)
        torch.manual_seed(hash(numbers) % 2**63)

    def _clip(self, plan: Plan, step: int, batch: Batch) -> None:
        """Bound the gradient's norm, and refuse one that is not finite."""
        norm = self.fabric.clip_gradients(
            self.module,
            plan.optimiser,
            max_norm=plan.clip or math.inf,
            error_if_nonfinite=False,
        )
        skipped = self.config.precision == "16-mixed"  # its scaler leaves such a step out
        if norm is not None and not skipped and not torch.isfinite(norm):
            what = f"the gradient of the {plan.name} became {norm.item()} at step {step}"
            raise self._diverged(what, batch)

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

    def _validate(self, log: RunLog | None) -> None:
        """Validate the (averaged) weights and save them if they are the best so far.

        The first process, which has the log, does it; the others wait for it.
        """
        if log:
            with self.average.put_into(self.task.learned) if self.average else nullcontext():
                measure = self.task.validate(self.step, log)
                if self.step and (not self.best_step or measure > self.best):
                    self.best, self.best_step = measure, self.step
                    self.task.save(self.step)
        self.meeting_point.wait()

    def _finish(self, log: RunLog | None) -> None:
        self.task.finish(log, self.best_step, self.fabric.device)

    def _checkpoint(self) -> None:
        if self.fabric.is_global_zero:
            state = {
                "step": self.step,
                "best": self.best,
                "best_step": self.best_step,
                "config": json.dumps(plain(self.config)),
                "processes": self.fabric.world_size,
                "networks": self.task.learned.state_dict(),
                "task": self.task.state_dict(),
                "plans": {plan.name: plan.state_dict() for plan in self.plans},
                "precision": self.fabric.strategy.precision.state_dict(),
                "average": self.average.state_dict() if self.average else None,
            }
            save_checkpoint(self.folder.last, state)
        self.fabric.barrier()

    def _resume(self) -> None:
        state = load_checkpoint(self.folder.last)
        processes = self.fabric.world_size
        check_same_run(json.loads(state["config"]), state["processes"], self.config, processes)
        state = upgrade_checkpoint(state)
        self.task.learned.load_state_dict(state["networks"])
        self.task.load_state_dict(state["task"])
        for plan in self.plans:
            plan.load_state_dict(state["plans"][plan.name])
        self.fabric.strategy.precision.load_state_dict(state.get("precision", {}))
        if self.average:
            self.average.load_state_dict(state["average"])
        self.step, self.best = state["step"], state["best"]
        self.best_step = state["best_step"]

    def _ask_stop(self, number: int, _: Any) -> None:
        if self.stop:
            signal.signal(number, signal.SIG_DFL)
        self.stop = True
