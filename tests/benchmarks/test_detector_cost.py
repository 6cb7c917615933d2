"""The benchmark of a detector's cost builds detectors that score although nothing was learned."""

from __future__ import annotations

import importlib
from argparse import Namespace
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]
GIVEN = {"features": "decoder8", "scale": 0.5, "weights": None, "published": False}


@pytest.mark.parametrize("name", ["densehybrid", "mahalanobis", "msp"])
def test_an_untrained_detector_can_be_timed(name, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    cost = importlib.import_module("detector_cost")
    model = cost.build(Namespace(detector=name, **GIVEN))
    smoothed = [one.options() for one in model.head.refiners]
    assert smoothed == ([{"window": 11}] if name == "densehybrid" else [])
    image = torch.rand(1, 3, 64, 96)
    alone, both = cost.in_turns(model, image, 1, cost.scored)
    assert alone > 0
    assert both > 0
