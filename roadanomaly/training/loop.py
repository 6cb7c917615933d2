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
from roadanomaly.training.engine import MeetingPoint, build_fabric, resolved
from roadanomaly.training.experiments import open_experiment
from roadanomaly.training.flow_start import is_started, start_flow
from roadanomaly.training.held import Held, TakesHeld
from roadanomaly.training.log import RunLog
from roadanomaly.training.optimiser import Plan
from roadanomaly.training.run_config import RunConfig
from roadanomaly.training.run_folder import RunFolder, check_same_run, plain
from roadanomaly.training.said import Fault, Pass, Said
from roadanomaly.training.shown import shown
from roadanomaly.training.speed import compile_networks, prepare_for
from roadanomaly.training.stream import train_loader
from roadanomaly.training.take_step import take_step
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
        self.config = config = resolved(config)
        self.folder = RunFolder(config.out)
        self.fabric = build_fabric(config)
        self.fabric.launch()
        self.meeting_point = MeetingPoint(self.fabric)
        torch.manual_seed(config.seed)
        with self.meeting_point.together(patient=True):
            self.task = TASKS.get(config.task)(config, self.folder)
            self.record = self.task.record(self.fabric.world_size)
        cuda = self.fabric.device.type == "cuda"
        self.notes = prepare_for(self.task, config, cuda=cuda, processes=self.fabric.world_size)
        plans = self.task.plans(fused=cuda and config.precision != "16-mixed")
        self.module, *optimisers = self.fabric.setup(
            TakesHeld(self.task.module), *[plan.optimiser for plan in plans]
        )
        self.plans: list[Plan] = [
            replace(plan, optimiser=one) for plan, one in zip(plans, optimisers, strict=True)
        ]
        self.average = WeightAverage(self.task.learned, config.average) if config.average else None
        self.step, self.best, self.best_step = 0, -math.inf, 0
        self.said: Said | None = None
        with self.meeting_point.together():
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
            KeyboardInterrupt: a second one.
        """
        leader = self.fabric.is_global_zero
        with self.meeting_point.together():
            log = self._log() if leader else None
        handlers = {s: signal.signal(s, self._ask_stop) for s in (signal.SIGINT, signal.SIGTERM)}
        try:
            self._say(log)
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

    def _log(self) -> RunLog:
        folder, config = self.folder.path, self.config
        experiment = open_experiment(config.logger, folder, plain(config), self.step)
        return RunLog(folder, config.steps, self.step, experiment)

    def _say(self, log: RunLog | None) -> None:
        """Compile what the config asks for; tell what is learned from and what is left out."""
        if self.config.compile:
            with self.meeting_point.together(patient=True), self.fabric.autocast():
                self.notes += compile_networks(self.task, self.config, self.fabric.device)
        for note in (shown(self.task), *self.notes):
            if log:
                log.say(note)

    def _loop(self, log: RunLog | None) -> None:
        config = self.config
        batches = self.batches()
        if self.step == 0:
            self._prepare()
            self._validate(log)
        if log:
            log.begin()
        self.module.train()
        for step in range(self.step + 1, config.steps + 1):
            try:
                said = self.update(step, batches)
            except DataError as error:
                raise self._kept(error) from error
            self.step = step
            last = step == config.steps
            logged = last or step % config.log_every == 0
            if logged:
                self._require_finite(said)
            if log:
                log.advance()
                if logged:
                    log.train(step, said.logged())
            if last or (config.validate_every and step % config.validate_every == 0):
                self._validate(log)
                self.module.train()
            stopping = self.meeting_point.agree(stop=self.stop)
            if last or stopping or step % config.checkpoint_every == 0:
                self._checkpoint()
            if stopping:
                msg = f"stopped after step {step}; continue with --resume."
                raise Interrupted(msg)

    def _prepare(self) -> None:
        """Let the task do what comes before the first step; all processes then hold the same."""
        with self.meeting_point.together(patient=True):
            changed = self.task.prepare(quiet=not self.fabric.is_global_zero)
        if changed:
            self.meeting_point.share(self.task.learned)
        started = self._start_flow()
        if self.average and (changed or started):
            self.average = WeightAverage(self.task.learned, self.config.average)

    def _start_flow(self) -> bool:
        """Start a fresh flow on the first process's first crops, alike in all of several processes.

        One process alone starts it in its first pass. Among several, one whose crops got no
        sample in that pass would be left with a flow that differs from the others'.

        Returns:
            whether the flow has changed.
        """
        flow = self.task.learned_flow()
        if self.fabric.world_size == 1 or flow is None or is_started(flow):
            return False
        with self.meeting_point.together(patient=True):
            config = replace(self.config, workers=0)
            loader = train_loader(
                config, self.task.frames, self.task.source, start=0, rank=0, world=1
            )
            batch = next(iter(loader))
            if isinstance(batch, UserError):
                raise batch
            start_flow(flow, batch.to(self.fabric.device))
        self.meeting_point.share(flow)
        return True

    def _kept(self, error: DataError) -> DataError:
        """Save what was learned before a file that cannot be used, and say so."""
        if self.step == 0 or self.fabric.world_size > 1:
            return error
        self._checkpoint()
        return DataError(f"{error} Step {self.step} is saved: mend the file, then --resume.")

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
            device=fabric.device,
        )
        for batch in loader:
            if isinstance(batch, UserError):
                raise batch
            yield batch

    def update(self, step: int, batches: Iterator[Batch]) -> Said:
        """Take one optimiser step; return its loss terms, gradient norms and rates.

        Whether they are finite is asked when the next step has been sent off: see `Said`.

        Raises:
            TrainingDiverged: the step before had a loss or gradient that was not finite.
        """
        config, fabric = self.config, self.fabric
        passes = []
        for part in range(config.accumulate):
            with self.meeting_point.together():
                batch = next(batches).to(fabric.device)
            self._seed(step, part)
            seed = [config.seed, STEP_MIX, step, part, fabric.global_rank]
            waits = part < config.accumulate - 1
            with fabric.no_backward_sync(self.module, enabled=waits):
                terms = self._terms(batch, np.random.default_rng(seed))
                loss = sum(terms.values()) / config.accumulate
                fabric.backward(loss)
            passes.append(Pass(batch.ids, {key: one.detach() for key, one in terms.items()}))
        norms = {plan.name: self._clip(plan) for plan in self.plans}
        before, self.said = self.said, Said(step, passes, norms, self._rates())
        take_step(fabric.strategy.precision, [plan.optimiser for plan in self.plans])
        for plan in self.plans:
            plan.optimiser.zero_grad(set_to_none=True)
            plan.schedule.step()
        self.task.after_step(self._mean)
        if self.average:
            self.average.update(self.task.learned)
        self._require_finite(before)
        return self.said

    def _terms(self, batch: Batch, rng: np.random.Generator) -> dict[str, Any]:
        """Return the loss terms of a pass, in all processes or in none.

        Raises:
            TrainingDiverged: the pass failed, and the step before had spoilt the weights.
        """
        try:
            with self.meeting_point.together():
                return self.module(Held(batch), rng)
        except Exception:
            self._require_finite(self.said)
            raise

    def _rates(self) -> dict[str, float]:
        """Return the learning rates by their names in the log."""
        first, *rest = self.plans
        names = {"lr": first, **{f"lr_{plan.name}": plan for plan in rest}}
        return {key: float(plan.schedule.get_last_lr()[0]) for key, plan in names.items()}

    def _mean(self, value: torch.Tensor) -> torch.Tensor:
        """Return the mean of a tensor over all processes."""
        if self.fabric.world_size == 1:
            return value
        return torch.as_tensor(self.fabric.all_reduce(value, reduce_op="mean"))

    def _seed(self, step: int, part: int) -> None:
        """Make a pass draw the same numbers in a resumed run, whose loader starts only then."""
        numbers = (self.config.seed, step, part, self.fabric.global_rank)
        torch.manual_seed(hash(numbers) % 2**63)

    def _clip(self, plan: Plan) -> torch.Tensor:
        """Bound the gradient's norm, and return what it was."""
        norm = self.fabric.clip_gradients(
            self.module,
            plan.optimiser,
            max_norm=plan.clip or math.inf,
            error_if_nonfinite=False,
        )
        assert norm is not None
        return norm

    def _require_finite(self, said: Said | None) -> None:
        """Refuse a step whose loss or gradient was not finite; losses first, in all processes.

        The gradient of one process's loss that is not finite is everybody's. A scaler, which
        `16-mixed` has on a GPU alone, leaves a step out whose gradient is not.

        Raises:
            TrainingDiverged: says which, where, and on what.
        """
        if said is None:
            return
        with self.meeting_point.together():
            self._refuse(said.loss_fault())
        with self.meeting_point.together():
            if getattr(self.fabric.strategy.precision, "scaler", None) is None:
                self._refuse(said.gradient_fault())

    def _refuse(self, fault: Fault | None) -> None:
        if fault is not None:
            raise TrainingDiverged(
                f"{fault.what} on {', '.join(fault.ids)}. The last good state is in "
                f"{self.folder.last.parent} (saved every {self.config.checkpoint_every} steps); "
                "try a lower `lr`, `clip: 1.0` or `32-true`."
            )

    def _validate(self, log: RunLog | None) -> None:
        """Validate the (averaged) weights and save them if they are the best so far.

        As long as no validation could be judged, the latest weights are as good as any.

        Each process examines its share, with the first one's weights and statistics; the first one,
        which has the log, sums up.
        """
        self._require_finite(self.said)
        with self.average.put_into(self.task.learned) if self.average else nullcontext():
            with self.meeting_point.together(patient=True):
                self.task.before_validation(self.step, quiet=log is None)
            self.meeting_point.share(self.task.learned)
            with self.meeting_point.together(patient=True):
                part = self.task.examine(self.step, self.fabric.global_rank, self.fabric.world_size)
            parts = self.meeting_point.gather(part)
            with self.meeting_point.together(patient=True):
                if log:
                    measure = self.task.validate(self.step, log, parts)
                    measure = _or_worst(measure, self.step, log)
                    unjudged = measure == self.best == -math.inf
                    if self.step and (not self.best_step or measure > self.best or unjudged):
                        self.best, self.best_step = measure, self.step
                        self.task.save(self.step)

    def _finish(self, log: RunLog | None) -> None:
        self.task.judged = self.best > -math.inf
        self.task.finish(log, self.best_step, self.fabric.device)
        self.folder.finish(self.config.steps)
        if log:
            log.finished = True

    def _checkpoint(self) -> None:
        self._require_finite(self.said)
        with self.meeting_point.together(patient=True):
            if self.fabric.is_global_zero:
                save_checkpoint(self.folder.last, self._state())

    def _state(self) -> dict[str, Any]:
        """Return all that a checkpoint holds."""
        return {
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
        self.step = state["step"]
        self.best = -math.inf if math.isnan(state["best"]) else state["best"]
        self.best_step = state["best_step"]

    def _ask_stop(self, _: int, __: Any) -> None:
        if self.stop:
            raise KeyboardInterrupt
        self.stop = True


def _or_worst(measure: float, step: int, log: RunLog) -> float:
    """Return a validation's measure; one that is not a number loses against every other."""
    if not math.isnan(measure):
        return measure
    if step:
        log.say(f"validation at step {step}: its measure is NaN, which counts as the worst.")
    return -math.inf
