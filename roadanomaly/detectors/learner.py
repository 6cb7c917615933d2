"""Parameters that learn at a pace of their own, as a detector declares them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from torch import nn

Method = Literal["adamw", "adam", "sgd", "adamax"]


@dataclass(frozen=True)
class Learner:
    """An optimiser of its own for some parameters.

    Args:
        parameters: that learn by it and by no other.
        method: of the optimiser.
        lr: its rate, which follows the run's schedule.
        betas: of the moments of Adam and its kin.
        momentum: of `sgd`.
        weight_decay: decoupled for `adamw`, in the gradient for the others.
        clip: largest norm of their gradient; 0 for none.
    """

    parameters: Sequence[nn.Parameter]
    method: Method = "adamw"
    lr: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    momentum: float = 0.9
    weight_decay: float = 0.0
    clip: float = 0.0
