"""bfloat16 against float32, in each trained path: the first gradient, and what 20 steps gain."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from roadanomaly.training.held import Held
from roadanomaly.training.loop import STEP_MIX, Trainer
from tests.training.test_precision import PATHS

FLOWS = ("source", "flow")
"""Plans of flows, which compute in float32 whatever autocast says."""

QUICK = {
    "detector": {},
    "joint": {"source_lr": 1e-2, "source_clip": 0.0},
    "attack": {},
    "generator": {},
    "flow": {"lr": 3e-2, "warmup": 0, "batch_size": 8},
}
"""What lets so short a run gain more than its crops differ by."""

BESIDE = ("step", "lr", "discriminators", "adversarial", "r1")
"""Columns of a run's table that are no loss, or that need not fall since two sides play."""


def trainer(path, precision, out, **changes):
    kind, smallest, _ = PATHS[path]
    short = {"accumulate": 1, "clip": 0.0, "average": 0.0, "validate_every": 0}
    values = {**smallest, **short, "precision": precision, "out": str(out), **changes}
    return Trainer(kind(**{**values, "crop": tuple(smallest["crop"])}))


def gradients(path, precision, out):
    """Return each plan's gradient of the first batch as one vector, in double precision."""
    one = trainer(path, precision, out)
    one.module.train()
    one._prepare()
    batch = next(one.batches()).to("cpu")
    one._seed(1, 0)
    terms = one.module(Held(batch), np.random.default_rng([one.config.seed, STEP_MIX, 1, 0, 0]))
    one.fabric.backward(sum(terms.values()))
    return {
        plan.name: torch.cat(
            [p.grad.double().flatten() for g in plan.optimiser.param_groups for p in g["params"]]
        )
        for plan in one.plans
    }


@pytest.mark.slow
@pytest.mark.parametrize("path", PATHS)
def test_the_first_gradient_points_where_that_of_single_precision_does(path, tmp_path):
    exact = gradients(path, "32-true", tmp_path / "exact")
    half = gradients(path, "bf16-mixed", tmp_path / "half")
    assert exact.keys() == half.keys()
    for name, gradient in exact.items():
        assert gradient.norm() > 0
        cosine = torch.cosine_similarity(gradient, half[name], dim=0)
        assert cosine >= (0.999 if name in FLOWS else 0.99), name


@pytest.mark.slow
@pytest.mark.parametrize("path", PATHS)
def test_twenty_steps_gain_nearly_as_much(path, tmp_path):
    gained = {}
    for precision in ("32-true", "bf16-mixed"):
        changes = {
            "steps": 20,
            "checkpoint_every": 20,
            "log_every": 1,
            "jitter": 0.0,
            **QUICK[path],
        }
        folder = trainer(path, precision, tmp_path / precision, **changes).run()
        table = np.genfromtxt(folder / "metrics.csv", delimiter=",", names=True)
        loss = sum(table[name] for name in table.dtype.names if not name.startswith(BESIDE))
        gained[precision] = loss[:8].mean() - loss[-8:].mean()
    assert gained["32-true"] > 0
    assert gained["bf16-mixed"] >= 0.9 * gained["32-true"]
