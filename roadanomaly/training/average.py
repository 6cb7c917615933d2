"""Exponential moving average of the weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


class WeightAverage:
    """Keeps `decay * average + (1 - decay) * weights` of a module's floating-point state.

    The decay grows from 0.1 to its full value over the first steps, `(1 + n) / (10 + n)`, so a
    short run is not dominated by its start.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.count = 0
        self.state = {key: value.detach().clone() for key, value in module.state_dict().items()}

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        """Take the current weights in."""
        decay = min(self.decay, (1 + self.count) / (10 + self.count))
        self.count += 1
        current = module.state_dict()
        moving = [key for key, value in current.items() if value.is_floating_point()]
        torch._foreach_lerp_(
            [self.state[key] for key in moving], [current[key] for key in moving], 1 - decay
        )
        for key in current.keys() - set(moving):
            self.state[key].copy_(current[key])

    @contextmanager
    def put_into(self, module: nn.Module) -> Iterator[None]:
        """Put the averaged weights into a module, and back what it held before."""
        held = {key: value.detach().clone() for key, value in module.state_dict().items()}
        module.load_state_dict(self.state)
        try:
            yield
        finally:
            module.load_state_dict(held)

    def state_dict(self) -> dict[str, int | dict[str, Tensor]]:
        """Return what `load_state_dict` restores."""
        return {"count": self.count, "state": self.state}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Restore the average."""
        self.count = saved["count"]
        for key, value in saved["state"].items():
            self.state[key].copy_(value)
