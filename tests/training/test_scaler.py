"""Two optimisers and one gradient scaler, with Fabric's own plugin of half precision on the CPU."""

from __future__ import annotations

import pytest
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.precision.amp import MixedPrecision
from torch import nn

from roadanomaly.training import loop
from roadanomaly.training.take_step import take_step
from tests.training import runs
from tests.training.test_joint import JOINT

SCALE = 1024.0
SLOPES = (1.0, 8.0)


def half_precision():
    scaler = torch.amp.GradScaler("cpu", init_scale=SCALE)
    plugin = MixedPrecision("16-mixed", "cpu", scaler)
    return Fabric(accelerator="cpu", devices=1, plugins=[plugin]), scaler


class Pair(nn.Module):
    """Two parameters at 0 whose gradients are `SLOPES`."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = nn.ParameterList(nn.Parameter(torch.zeros(())) for _ in SLOPES)

    def forward(self, bad: bool = False) -> torch.Tensor:
        second = float("inf") if bad else SLOPES[1]
        return self.parts[0] * SLOPES[0] + self.parts[1] * second


def stepped(clip, *, bad=False):
    """Return the parameters after one step of rate 0.01, each with its own optimiser."""
    fabric, scaler = half_precision()
    module = Pair()
    optimisers = [torch.optim.SGD([one], 0.01) for one in module.parts]
    ready, *optimisers = fabric.setup(module, *optimisers)
    fabric.backward(ready(bad))
    for one in optimisers:
        fabric.clip_gradients(ready, one, max_norm=clip, error_if_nonfinite=False)
    take_step(fabric.strategy.precision, optimisers)
    return [one.item() for one in module.parts], scaler.get_scale()


def test_each_optimiser_steps_by_its_own_gradient():
    moved, scale = stepped(float("inf"))
    assert moved == pytest.approx([-0.01 * slope for slope in SLOPES])
    assert scale == SCALE


def test_each_clip_bounds_the_gradient_itself():
    moved, _ = stepped(2.0)
    assert moved == pytest.approx([-0.01, -0.02], rel=1e-5)


def test_a_gradient_that_overflows_is_left_out_and_halves_the_scale_once():
    moved, scale = stepped(float("inf"), bad=True)
    assert moved == pytest.approx([-0.01, 0])
    assert scale == SCALE / 2


@pytest.mark.slow
def test_a_step_of_a_run_unscales_each_optimiser_once(tmp_path, monkeypatch):
    """What the optimisers see is bounded by their clips, not by these divided by the scale."""
    fabric, scaler = half_precision()
    monkeypatch.setattr(loop, "build_fabric", lambda _: fabric)
    norms = {}
    for kind in (torch.optim.AdamW, torch.optim.Adamax):

        def seen(self, *arguments, step=kind.step, kind=kind, **named):
            grads = [p.grad for group in self.param_groups for p in group["params"]]
            flat = torch.cat([g.flatten() for g in grads if g is not None])
            norms.setdefault(kind.__name__, []).append(flat.norm().item())
            return step(self, *arguments, **named)

        monkeypatch.setattr(kind, "step", seen)
    updates = []
    update = scaler.update
    monkeypatch.setattr(scaler, "update", lambda: (updates.append(1), update()))
    changes = {**JOINT, "clip": 1e-3, "source_clip": 1e-3, "steps": 2, "accumulate": 1}
    loop.Trainer(
        runs.config(tmp_path / "run", **changes, validate_every=0, precision="16-mixed")
    ).run()
    assert norms == {name: pytest.approx([1e-3] * 2, rel=1e-2) for name in ("AdamW", "Adamax")}
    assert len(updates) == 2
