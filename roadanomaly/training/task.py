"""What a run trains: a module with its losses, how it is judged, and what is kept of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from roadanomaly.data import FrameSet
from roadanomaly.flows import ImageFlow
from roadanomaly.negatives import NegativeSource
from roadanomaly.training.log import RunLog
from roadanomaly.training.optimiser import Plan
from roadanomaly.training.run_folder import RunFolder
from roadanomaly.types import Batch

Trial = Callable[[nn.Module, Batch], None]
"""Takes a forward and a backward pass of a network on a batch."""


class Task(ABC):
    """The loop knows steps, processes and checkpoints; a task knows what they are for.

    Attributes:
        frames: inlier frames that crops are cut from.
        source: of negatives, or None.
        module: called with a float batch and a numpy generator; returns named loss terms.
        judged: whether a validation could tell how good the kept step is; the loop sets it before
            `finish`.
    """

    judged: bool = True
    frames: FrameSet
    source: NegativeSource | None
    module: nn.Module

    @abstractmethod
    def __init__(self, config: Any, folder: RunFolder) -> None:
        """Build all parts of the run; the config is of the task's own kind."""

    @property
    @abstractmethod
    def learned(self) -> nn.Module:
        """What is averaged, validated and saved."""

    @abstractmethod
    def plans(self, *, fused: bool = False) -> list[Plan]:
        """Return how each part of the module learns.

        Args:
            fused: take optimisers that step all parameters in one kernel, where there are such.
        """

    @abstractmethod
    def record(self, processes: int) -> dict[str, Any]:
        """Return all that somebody needs to repeat the run."""

    def compilable(self) -> Sequence[tuple[nn.Module, Trial]]:
        """Return the networks that `compile: true` means, each with a forward and backward pass.

        The pass is tried on a compiled copy first; a flow is none, and the run then says so.
        """
        return ()

    def prepare(self, *, quiet: bool) -> bool:
        """Do what must come before the first step, alike in every process.

        Args:
            quiet: show no progress.

        Returns:
            whether `learned` has changed.
        """
        del quiet
        return False

    def learned_flow(self) -> ImageFlow | None:
        """Return the flow that learns in the run, or None."""
        return None

    def before_validation(self, step: int, *, quiet: bool) -> None:  # noqa: B027 (most need nothing)
        """Do what must come before a validation, alike in every process.

        Args:
            step: of the run.
            quiet: show no progress.
        """

    def examine(self, step: int, rank: int, world: int) -> Any:
        """Examine this process's share of the validation, and return what can be sent on.

        Args:
            step: of the run.
            rank: of this process.
            world: number of processes.
        """
        del step, rank, world

    @abstractmethod
    def validate(self, step: int, log: RunLog, parts: Sequence[Any]) -> float:
        """Judge what was learned so far, log it, and return a measure, higher = better.

        The first process alone does it.

        Args:
            step: of the run.
            log: of the run.
            parts: what `examine` returned in each process.
        """

    @abstractmethod
    def save(self, step: int) -> None:
        """Keep what was just validated: it is the best so far, or the last of what none judges."""

    @abstractmethod
    def finish(self, log: RunLog | None, best_step: int, device: torch.device) -> None:
        """Complete what was kept when the last step is done."""

    def which(self, best_step: int) -> str:
        """Say which step was kept, and that it is no best one where nothing could be judged."""
        if self.judged:
            return f"best at step {best_step}"
        return f"no validation could judge anything, so the last step, {best_step}, was kept"

    def after_step(self, mean: Callable[[Tensor], Tensor]) -> None:
        """Let statistics follow the training; `mean` is over all processes."""
        del mean

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint must hold beside `learned` and the plans."""
        return {}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Restore it."""
        del saved
