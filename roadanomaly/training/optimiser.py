"""Optimisers with their schedules and clipping: one a part that learns at a pace of its own."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn
from torch.optim import SGD, Adam, Adamax, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from roadanomaly.catalogue import called
from roadanomaly.detectors.learner import Learner, Method
from roadanomaly.errors import OptionError
from roadanomaly.training.config import TrainConfig
from roadanomaly.training.step import TrainingStep

ENCODER = re.compile(r"(?:(?![^.]*decoder)[^.]*\.)*?(?:encoder|backbone)\.")
"""How the dotted name of an encoder's parameter begins: nothing called a decoder is before it."""


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


def build_plans(module: TrainingStep, config: TrainConfig, *, fused: bool = False) -> list[Plan]:
    """Return the optimisers: of segmenter and detector, of what learns at a pace of its own.

    The first is the config's, for all parameters that nobody else claims; then one for each of the
    detector's learners, and Adamax for a source with parameters.

    Args:
        module: what is trained.
        config: its rates.
        fused: one kernel of the GPU for all parameters, where the method has one.
    """

    def plan(name: str, optimiser: Optimizer, schedule: str, clip: float) -> Plan:
        factors = build_schedule(optimiser, schedule, config.warmup, config.steps)
        return Plan(name, optimiser, factors, clip)

    learners = module.detector.learners()
    plans = []
    groups = parameter_groups(module, config, _claimed(learners))
    if groups:
        first = build_optimiser(config.optimiser, groups, fused=fused)
        plans.append(plan("networks", first, config.schedule, config.clip))
    for name, learner in learners.items():
        made = optimiser_of(learner, fused=fused)
        plans.append(plan(name, made, config.schedule, learner.clip))
    learned = _trainable(module.source) if module.source is not None else []
    if learned:
        slow = Adamax(learned, config.source_lr)
        plans.append(plan("source", slow, config.source_schedule, config.source_clip))
    return plans


def _claimed(learners: Mapping[str, Learner]) -> set[int]:
    """Return the parameters that learners name.

    Raises:
        ValueError: one is named twice: a fault of the detector's code.
    """
    named = [id(parameter) for one in learners.values() for parameter in one.parameters]
    if len(set(named)) < len(named):
        msg = "two learners of the detector name the same parameter."
        raise ValueError(msg)
    return set(named)


def parameter_groups(
    module: TrainingStep, config: TrainConfig, claimed: Collection[int] = ()
) -> list[dict[str, Any]]:
    """Return groups with a rate for the segmenter, its encoder and the detector.

    Biases, normalisation and PReLU parameters (one dimension) get no weight decay.

    Args:
        module: what is trained.
        config: its rates.
        claimed: `id` of parameters that learn elsewhere.
    """
    groups = []
    segmenter, detector = _trainable(module.segmenter), _trainable(module.detector)
    encoder = encoder_parameters(module.segmenter) if config.encoder_lr is not None else []
    inside = {id(p) for p in encoder}
    parts = (
        ("segmenter", [p for p in segmenter if id(p) not in inside], config.lr),
        ("encoder", [p for p in segmenter if id(p) in inside], config.encoder_lr),
        ("detector", detector, config.head_lr),
    )
    for name, parameters, rate in parts:
        part = [p for p in parameters if id(p) not in claimed]
        for decayed in (True, False):
            found = [p for p in part if (p.dim() > 1) == decayed]
            if found:
                decay = config.weight_decay if decayed else 0.0
                groups.append({"params": found, "lr": rate, "weight_decay": decay, "name": name})
    return groups


def encoder_parameters(segmenter: nn.Module) -> list[nn.Parameter]:
    """Return the parameters of a segmenter's encoder: all below a layer that is called so.

    Libraries call it `encoder` or `backbone`. An encoder inside a decoder, as that of
    Mask2Former's pixel decoder, is no such one.

    Raises:
        OptionError: the segmenter has no layer of that name.
    """
    found = [one for name, one in segmenter.named_parameters() if ENCODER.match(name)]
    if not found:
        msg = (
            f"config: `encoder_lr` is given, but `{called(segmenter)}` has no layers called "
            "`encoder` or `backbone`: leave it out, and all of the segmenter learns at `lr`."
        )
        raise OptionError(msg)
    return found


def build_optimiser(
    method: Method,
    groups: Iterable[Any],
    *,
    betas: tuple[float, float] = (0.9, 0.999),
    momentum: float = 0.9,
    fused: bool = False,
) -> Optimizer:
    """Return the optimiser of that name over groups that hold their own rates and decays.

    Adamax has no fused form; on a GPU PyTorch steps its parameters together by itself.
    """
    if method == "sgd":
        return SGD(groups, momentum=momentum, nesterov=momentum > 0, fused=fused or None)
    if method == "adamax":
        return Adamax(groups, betas=betas)
    kinds = {"adamw": AdamW, "adam": Adam}
    return kinds[method](groups, betas=betas, fused=fused or None)


def optimiser_of(learner: Learner, *, fused: bool = False) -> Optimizer:
    """Return the optimiser that a detector's learner declares."""
    group = {
        "params": list(learner.parameters),
        "lr": learner.lr,
        "weight_decay": learner.weight_decay,
    }
    return build_optimiser(
        learner.method, [group], betas=learner.betas, momentum=learner.momentum, fused=fused
    )


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
