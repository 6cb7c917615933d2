"""A run whose source asks the network: an observer under local adversarial attacks."""

from __future__ import annotations

import json

import pytest
import torch

from roadanomaly.model import load
from roadanomaly.training.loop import Trainer
from tests.training import runs
from tests.training.test_loop import at_step, fail
from tests.training.test_precision import ATTACK


@pytest.mark.slow
def test_a_run_under_attack_that_died_goes_on_unchanged(tmp_path, monkeypatch):
    trainer = Trainer(runs.config(tmp_path / "whole", **ATTACK))
    start = {key: value.clone() for key, value in trainer.task.model.segmenter.state_dict().items()}
    folder = trainer.run()
    kept = load(folder).segmenter.state_dict()
    assert all(torch.equal(kept[key], value) for key, value in start.items())
    died = runs.config(tmp_path / "died", **ATTACK)
    with monkeypatch.context() as patch:
        at_step(patch, 4, fail)
        with pytest.raises(RuntimeError, match="plug"):
            Trainer(died).run()
    runs.assert_equal_runs(folder, Trainer(died, resume=True).run())
    said = json.loads((folder / "record.json").read_text())["negatives"]
    assert (said["name"], said["mode"]) == ("laa", "min")
    described = json.loads((folder / "model" / "model.json").read_text())
    assert described["detector_trained_on"] == "synthetic negatives"
