"""Runs that start from a model: with its segmenter alone, or going on with its detector."""

from __future__ import annotations

import time

import pytest
import torch

from roadanomaly.errors import OptionError
from roadanomaly.model import load
from roadanomaly.training.loop import Trainer
from roadanomaly.training.pace import seconds_a_step, steps_within
from roadanomaly.training.parts import build_parts
from tests.training import runs

ONE_STEP = {"steps": 1, "validate_every": 0}


@pytest.mark.slow
def test_a_run_goes_on_with_the_detector_of_its_start(tmp_path):
    first = Trainer(runs.config(tmp_path / "first", refiners=({"name": "smooth", "window": 3},)))
    begun = load(first.run())
    changes = {"segmenter": None, "start": str(tmp_path / "first")}
    onwards = build_parts(runs.config(tmp_path / "second", **changes, detector=None)).model
    afresh = build_parts(runs.config(tmp_path / "third", **changes)).model
    assert [one.options() for one in onwards.head.refiners] == [{"window": 3}]
    for name, value in begun.detector.state_dict().items():
        assert torch.equal(onwards.detector.state_dict()[name], value)
    for name, value in begun.segmenter.state_dict().items():
        assert torch.equal(onwards.segmenter.state_dict()[name], value)
        assert torch.equal(afresh.segmenter.state_dict()[name], value)
    assert any(
        not torch.equal(afresh.detector.state_dict()[name], value)
        for name, value in begun.detector.state_dict().items()
    )


def test_a_run_without_a_detector_needs_a_start(tmp_path):
    with pytest.raises(OptionError, match="give `detector`"):
        runs.config(tmp_path, detector=None)
    with pytest.raises(OptionError, match="`teacher` teaches by the weight `distill`"):
        runs.config(tmp_path, teacher={"name": "espnetv2", "scale": 0.5})


@pytest.mark.slow
def test_the_pace_is_that_of_the_run_itself_and_leaves_its_folder_alone(tmp_path, monkeypatch):
    """Steps that sleep for 0.2 s take at least as long."""
    config = runs.config(tmp_path / "run")
    update = Trainer.update

    def slower(self, *arguments):
        time.sleep(0.2)
        return update(self, *arguments)

    monkeypatch.setattr(Trainer, "update", slower)
    assert seconds_a_step(config) >= 0.2
    assert not (tmp_path / "run").exists()


def test_steps_fit_into_the_time():
    assert steps_within(300, 1.0, 10) == 300
    assert steps_within(300, 10.0, 10) == 60
    assert steps_within(300, 1000.0, 10) == 20
    assert steps_within(4, 1000.0, 10) == 4
