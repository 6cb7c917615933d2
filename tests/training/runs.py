"""The smallest training run that has every part: generated streets, shapes, a tiny ESPNetv2."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from roadanomaly.training import loop
from roadanomaly.training.checkpoint import load_checkpoint
from roadanomaly.training.config import TrainConfig

STREETS = {"name": "streets", "height": 48, "width": 64}
SHAPES = {"name": "shapes", "side": [12, 30]}
SMALLEST: dict[str, Any] = {
    "segmenter": {"name": "espnetv2", "scale": 0.5},
    "detector": {"name": "densehybrid"},
    "train_data": {**STREETS, "count": 3},
    "val_data": {**STREETS, "split": "val", "count": 2},
    "negatives": SHAPES,
    "val_negatives": {**SHAPES, "rotate": 45},
    "crop": (32, 48),
    "steps": 4,
    "batch_size": 2,
    "accumulate": 2,
    "clip": 1.0,
    "average": 0.9,
    "validate_every": 2,
    "checkpoint_every": 2,
    "log_every": 1,
    "workers": 0,
    "accelerator": "cpu",
    "devices": 1,
}


def config(out: Path, **changes: Any) -> TrainConfig:
    """Return the smallest config with some keys changed."""
    return TrainConfig(**{**SMALLEST, "out": str(out), **changes})


def judge_by(patch: pytest.MonkeyPatch, worth: Callable[[int], float]) -> None:
    """Let each validation find what `worth` says of its step, whatever it measures."""
    patch.setattr(loop, "_or_worst", lambda measure, step, log: worth(step))


def final_state(folder: Path) -> dict[str, torch.Tensor]:
    """Return everything that a run ends with: weights, average, moments, and the saved model."""
    last = load_checkpoint(folder / "checkpoints" / "last.pt")
    found = {f"last/{key}": value for key, value in last["networks"].items()}
    found |= {f"average/{k}": v for k, v in (last["average"] or {"state": {}})["state"].items()}
    for name, plan in last["plans"].items():
        for number, moments in plan["optimiser"]["state"].items():
            found |= {f"{name}/{number}/{key}": value for key, value in moments.items()}
    found |= {f"source/{key}": value for key, value in last["task"].get("source", {}).items()}
    return found | load_file(folder / "model" / "weights.safetensors")


def assert_equal_runs(one: Path, other: Path) -> None:
    """Compare two runs bit by bit: their weights and their logged numbers."""
    first, second = final_state(one), final_state(other)
    assert first.keys() == second.keys()
    different = [key for key in first if not torch.equal(first[key], second[key])]
    assert not different
    for table in ("metrics.csv", "validation.csv"):
        assert (one / table).read_text() == (other / table).read_text()
