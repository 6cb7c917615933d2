"""The task of training a flow on crops of inlier images, by maximum likelihood."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Adamax

from roadanomaly.data import DATASETS
from roadanomaly.errors import Mistakes, OptionError
from roadanomaly.flows import FLOWS, ImageFlow
from roadanomaly.flows.store import save_flow
from roadanomaly.report.flow_pictures import bits_of, sample_sheet
from roadanomaly.training.crops import held_out_crops
from roadanomaly.training.flow_config import FlowConfig
from roadanomaly.training.log import RunLog
from roadanomaly.training.optimiser import Plan, build_schedule
from roadanomaly.training.record import run_record
from roadanomaly.training.run_folder import RunFolder
from roadanomaly.training.task import Task
from roadanomaly.types import Batch


class Likelihood(nn.Module):
    """A flow whose loss is what its crops cost."""

    def __init__(self, flow: ImageFlow) -> None:
        super().__init__()
        self.flow = flow

    def forward(self, batch: Batch, rng: np.random.Generator) -> dict[str, Tensor]:
        """Return the mean bits per dimension of a float batch."""
        del rng
        return {"bits_per_dim": self.flow.bits_per_dim(batch.grey_levels()).mean()}


class FlowTask(Task):
    """Trains a flow, and keeps the one that costs least on held-out crops.

    Args:
        config: the whole run.
        folder: where the flow goes.

    Raises:
        UserError: a part of the config cannot be built, or the crop does not fit the flow.
    """

    module: Likelihood
    source = None

    def __init__(self, config: FlowConfig, folder: RunFolder) -> None:
        self.config = config
        self.folder = folder
        mistakes = Mistakes()
        with mistakes.noted():
            self.frames = DATASETS.from_spec(config.train_data, "--train_data")
        with mistakes.noted():
            self.held_out = DATASETS.from_spec(config.val_data, "--val_data")
        with mistakes.noted():
            self.flow: ImageFlow = FLOWS.from_spec(config.flow)
        mistakes.refuse()
        self._check()
        self.module = Likelihood(self.flow)
        self.crops = held_out_crops(self.held_out, config.val_crops, config.crop, config.scale)
        self.about: dict[str, Any] = {}
        self.bits = 0.0

    def _check(self) -> None:
        if self.flow.channels != 3:
            msg = f"images have 3 channels; the flow has `channels: {self.flow.channels}`."
            raise OptionError(msg)
        if any(side % self.flow.stride for side in self.config.crop):
            msg = (
                f"config: `crop` is {list(self.config.crop)}; both sides must be multiples of "
                f"{self.flow.stride} for this flow."
            )
            raise OptionError(msg)

    @property
    def learned(self) -> nn.Module:
        """The flow."""
        return self.flow

    def learned_flow(self) -> ImageFlow:
        """Return the flow."""
        return self.flow

    def plans(self, *, fused: bool = False) -> list[Plan]:
        """Return Adamax for the flow."""
        del fused
        config = self.config
        optimiser = Adamax(self.flow.parameters(), config.lr)
        schedule = build_schedule(optimiser, config.schedule, config.warmup, config.steps)
        return [Plan("flow", optimiser, schedule, config.clip)]

    def record(self, processes: int) -> dict[str, Any]:
        """Return all that somebody needs to repeat the run."""
        self.about = run_record(
            seed=self.config.seed,
            config=asdict(self.config),
            parameters=sum(p.numel() for p in self.flow.parameters()),
            train_data=self.frames.record(),
            val_data=self.held_out.record(),
            processes=processes,
        )
        return self.about

    def validate(self, step: int, log: RunLog, parts: Sequence[Any]) -> float:
        """Return the negative bits per dimension of the held-out crops."""
        del parts
        self.flow.eval()
        if step == 0:
            return -np.inf  # its normalisation has seen no batch yet
        bits = bits_of(self.flow, self.crops)
        self.bits = float(bits.mean())
        log.judge(step, {"bits_per_dim": self.bits}, f"{self.bits:.3f} bits/dim")
        sheet = sample_sheet(self.flow, self.crops)
        log.show(step, {"flow/samples": sheet}, {"bits/inliers": bits})
        return -self.bits

    def save(self, step: int) -> None:
        """Write the flow into the run folder."""
        card = {**self.about, "step": step, "validation": {"bits_per_dim": self.bits}}
        save_flow(self.flow, self.folder.path / "flow", card)

    def finish(self, log: RunLog | None, best_step: int, device: torch.device) -> None:
        """Say where the flow is."""
        if log:
            log.say(f"{self.which(best_step)}; the flow is in {self.folder.path / 'flow'}")
