"""Step several optimisers that share one gradient scaler."""

from __future__ import annotations

from collections.abc import Iterable

from torch.optim import Optimizer

from roadanomaly.training.fabric import FabricOptimizer, Precision


def take_step(precision: Precision, optimisers: Iterable[Optimizer]) -> None:
    """Step each optimiser once, then let the scaler of `16-mixed` adapt its scale, once.

    Fabric's own step of an optimiser adapts the scale, and with it forgets which gradients were
    divided by the scale already: those of the next optimiser, unscaled for its clipping, would be
    divided again. An optimiser whose gradient is not finite is left out, as the scaler does.

    Args:
        precision: of the strategy; only that of `16-mixed` has a `scaler`.
        optimisers: set up by Fabric; with a scaler, their gradients are unscaled or clipped.
    """
    scaler = getattr(precision, "scaler", None)
    for one in optimisers:
        if scaler is None:
            one.step()
        else:
            assert isinstance(one, FabricOptimizer)
            scaler.step(one.optimizer)
    if scaler is not None:
        scaler.update()
