"""Optimisers with their schedules and clipping: one a part that learns at a pace of its own."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from torch import nn
from torch.optim import Adamax, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from roadanomaly.training.config import TrainConfig
from roadanomaly.training.step import TrainingStep


@dataclass(frozen=True)
class Plan:
    """How some parameters learn.

    Args:
        name: of the part, for logs and checkpoints.
        optimiser: of its parameters.
        schedule: of all its rates.
        clip: largest norm of their gradient; 0 for none.
    """

    name: str
    optimiser: Optimizer
    schedule: LambdaLR
    clip: float

    def state_dict(self) -> dict[str, Any]:
        """Return what `load_state_dict` restores."""
        return {"optimiser": self.optimiser.state_dict(), "schedule": self.schedule.state_dict()}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Restore the moments and the place in the schedule."""
        self.optimiser.load_state_dict(saved["optimiser"])
        self.schedule.load_state_dict(saved["schedule"])


def build_plans(module: TrainingStep, config: TrainConfig) -> list[Plan]:
    """Return AdamW for segmenter and detector, and Adamax for a source with parameters."""
    optimiser = build_optimiser(module, config)
    schedule = build_schedule(optimiser, config.schedule, config.warmup, config.steps)
    plans = [Plan("networks", optimiser, schedule, config.clip)]
    learned = _trainable(module.source) if module.source is not None else []
    if learned:
        slow = Adamax(learned, config.source_lr)
        schedule = build_schedule(slow, config.source_schedule, config.warmup, config.steps)
        plans.append(Plan("source", slow, schedule, config.source_clip))
    return plans


def build_optimiser(module: TrainingStep, config: TrainConfig) -> AdamW:
    """AdamW with a rate for the segmenter and one for the detector.

    Biases, normalisation and PReLU parameters (one dimension) get no weight decay.
    """
    groups = []
    rates = {"segmenter": config.lr, "detector": config.head_lr}
    for name, rate in rates.items():
        part = getattr(module, name)
        for decayed in (True, False):
            found = [p for p in _trainable(part) if (p.dim() > 1) == decayed]
            if found:
                decay = config.weight_decay if decayed else 0.0
                groups.append({"params": found, "lr": rate, "weight_decay": decay, "name": name})
    return AdamW(groups)


def _trainable(module: nn.Module) -> list[nn.Parameter]:
    return [parameter for parameter in module.parameters() if parameter.requires_grad]


def rate_factor(schedule: str, warmup: int, steps: int, step: int) -> float:
    """Return what the learning rates are multiplied with at a step, 0 to 1.

    Linear warm-up; then constant, half a cosine to 0, or `(1 - progress)^0.9` (poly).
    """
    if step < warmup:
        return (step + 1) / warmup
    progress = min((step - warmup) / max(1, steps - warmup), 1.0)
    if schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * progress))
    if schedule == "poly":
        return (1 - progress) ** 0.9
    return 1.0


def build_schedule(optimiser: Optimizer, schedule: str, warmup: int, steps: int) -> LambdaLR:
    """Return the schedule of all groups of an optimiser."""
    return LambdaLR(optimiser, lambda step: rate_factor(schedule, warmup, steps, step))
