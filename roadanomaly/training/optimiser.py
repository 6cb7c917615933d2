"""Parameter groups and learning-rate schedules."""

from __future__ import annotations

import math

from torch import nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from roadanomaly.training.config import TrainConfig
from roadanomaly.training.step import TrainingStep


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


def rate_factor(config: TrainConfig, step: int) -> float:
    """Return what the learning rates are multiplied with at a step, 0 to 1.

    Linear warm-up; then constant, half a cosine to 0, or `(1 - progress)^0.9` (poly).
    """
    if step < config.warmup:
        return (step + 1) / config.warmup
    progress = (step - config.warmup) / max(1, config.steps - config.warmup)
    progress = min(progress, 1.0)
    if config.schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * progress))
    if config.schedule == "poly":
        return (1 - progress) ** 0.9
    return 1.0


def build_schedule(optimiser: AdamW, config: TrainConfig) -> LambdaLR:
    """Return the schedule of all groups."""
    return LambdaLR(optimiser, lambda step: rate_factor(config, step))
