"""A road detector's run: validated and calibrated on the road, its phases going on in a resume."""

from __future__ import annotations

import numpy as np
import pytest

import roadanomaly
from roadanomaly.training.loop import Trainer
from roadanomaly.types import NEGATIVE
from tests.training import runs
from tests.training.test_loop import at_step, fail

DETECTOR = {
    "name": "dacup",
    "width": 4,
    "widths": [6, 4],
    "embedding_width": 4,
    "hidden": 4,
    "inpaint": False,
    "phases": [0.25, 0.5],
}


def config(out):
    """Return a run of eight passes: two of triplets alone, two without the coupling."""
    obstacles = {"name": "road_obstacles", "count": [2, 3], "side": [8, 20]}
    return runs.config(out, detector=DETECTOR, negatives=obstacles)


@pytest.mark.slow
def test_phases_and_weights_go_on_in_a_resumed_run(tmp_path, monkeypatch):
    whole = Trainer(config(tmp_path / "whole")).run()
    with monkeypatch.context() as patch:
        at_step(patch, 4, fail)
        with pytest.raises(RuntimeError, match="plug"):
            Trainer(config(tmp_path / "cut")).run()
    runs.assert_equal_runs(whole, Trainer(config(tmp_path / "cut"), resume=True).run())
    metrics = np.genfromtxt(whole / "metrics.csv", delimiter=",", names=True)
    assert (metrics["coupling"] > 0).tolist() == [False, False, True, True]
    assert (metrics["reconstruction"] > 0).tolist() == [False, True, True, True]
    model = roadanomaly.load(whole)
    assert model.calibration.data == "streets val, road region"
    assert int(model.detector.passes) in (4, 8)


def test_validation_counts_the_road_alone(tmp_path):
    validator = Trainer(config(tmp_path / "run")).task.parts.validator
    frame = validator.mixed(0)
    counted = frame.truth != 255
    on_road = (frame.label == 0) | (frame.label == 1)
    assert (counted[on_road]).all()
    assert ((frame.label[counted] == NEGATIVE) | on_road[counted]).all()
    assert 0 < counted.float().mean() < 1
