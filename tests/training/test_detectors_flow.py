"""A likelihood that learns leaves its flow of images, from which others begin."""

from __future__ import annotations

import pytest
import torch

import roadanomaly
from roadanomaly.flows.store import load_flow
from roadanomaly.training.loop import Trainer
from tests.training import runs
from tests.training.test_joint import GLOW


@pytest.mark.slow
def test_the_flow_beside_the_model_is_the_detectors(tmp_path):
    likelihood = {"name": "likelihood", "flow": GLOW, "cell": 16}
    begun = runs.config(tmp_path / "one", detector=likelihood, steps=2, validate_every=0)
    folder = Trainer(begun).run()
    own = roadanomaly.load(folder).detector.flow.state_dict()
    kept = load_flow(folder).state_dict()
    assert own.keys() == kept.keys()
    assert all(torch.equal(own[key], kept[key]) for key in own)
    again = {**likelihood, "flow": {"start": str(folder)}, "complexity": True}
    other = Trainer(runs.config(tmp_path / "two", detector=again, steps=1, head_lr=0.0)).run()
    weights = roadanomaly.load(other).detector.flow.state_dict()
    assert all(torch.equal(own[key], weights[key]) for key in own)
