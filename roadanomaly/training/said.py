"""What a step said of itself: its loss terms and gradient norms, read when they have arrived."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Pass:
    """One pass of a step.

    Args:
        ids: of its crops.
        terms: its loss terms, scalars on the device.
    """

    ids: tuple[str, ...]
    terms: Mapping[str, Tensor]


@dataclass(frozen=True)
class Fault:
    """What was not finite.

    Args:
        what: in words.
        ids: of the crops that it came from.
    """

    what: str
    ids: tuple[str, ...]


class Said:
    """The numbers of one step, on their way from the device.

    A GPU works behind the processor, which would wait for it at each number that it reads. So all
    numbers of a step are copied at once, and read when the next step has been sent off.

    Args:
        step: its number.
        passes: of the step.
        norms: of the gradients, by the name of their plan, scalars on the device.
        rates: learning rates that the step took, by their name in the log.
    """

    def __init__(
        self,
        step: int,
        passes: Sequence[Pass],
        norms: Mapping[str, Tensor],
        rates: Mapping[str, float],
    ) -> None:
        self.step = step
        self.passes = tuple(passes)
        self.norms = tuple(norms)
        self.rates = dict(rates)
        values = [one.detach().float() for part in passes for one in part.terms.values()]
        values += [one.detach().float() for one in norms.values()]
        self._values, self._arrived = _sent(torch.stack(values))

    def read(self) -> tuple[list[dict[str, float]], dict[str, float]]:
        """Wait for the numbers; return the terms of each pass, and the norms."""
        if self._arrived is not None:
            self._arrived.synchronize()
        values = iter(self._values.tolist())
        terms = [{key: next(values) for key in part.terms} for part in self.passes]
        return terms, {name: next(values) for name in self.norms}

    def logged(self) -> dict[str, float]:
        """Return the mean terms over the passes, and the rates."""
        terms, _ = self.read()
        totals: dict[str, float] = {}
        for part in terms:
            for key, value in part.items():
                totals[key] = totals.get(key, 0.0) + value / len(terms)
        return {**totals, **self.rates}

    def loss_fault(self) -> Fault | None:
        """Return the first pass whose loss was not finite, or None."""
        terms, _ = self.read()
        for part, values in zip(self.passes, terms, strict=True):
            loss = sum(values.values())
            if not math.isfinite(loss):
                told = ", ".join(f"{key} {value:.4g}" for key, value in values.items())
                return Fault(f"the loss became {loss} at step {self.step} ({told})", part.ids)
        return None

    def gradient_fault(self) -> Fault | None:
        """Return the first plan whose gradient was not finite, or None."""
        _, norms = self.read()
        for name, norm in norms.items():
            if not math.isfinite(norm):
                what = f"the gradient of the {name} became {norm} at step {self.step}"
                return Fault(what, tuple(one for part in self.passes for one in part.ids))
        return None


def _sent(values: Tensor) -> tuple[Tensor, torch.cuda.Event | None]:
    """Start the copy to the processor; return where it goes, and what tells that it is there."""
    if values.device.type != "cuda":
        return values, None
    there = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
    there.copy_(values, non_blocking=True)
    arrived = torch.cuda.Event()
    arrived.record()
    return there, arrived
