"""Which step a run keeps."""

from __future__ import annotations

import json
import math

import pytest

from roadanomaly.training.flow_config import FlowConfig
from roadanomaly.training.flow_task import FlowTask
from roadanomaly.training.loop import Trainer
from tests.cli import test_flow


@pytest.mark.parametrize("first", [math.nan, -7.0])
def test_a_validation_that_is_nan_counts_as_the_worst(first, tmp_path, monkeypatch, capsys):
    measures = {0: math.nan, 1: first, 2: -5.0, 3: math.nan, 4: -6.0}
    monkeypatch.setattr(FlowTask, "validate", lambda self, step, log, parts: measures[step])
    changes = {"crop": (16, 16), "validate_every": 1, "out": str(tmp_path / "run")}
    folder = Trainer(FlowConfig(**{**test_flow.SMALLEST, **changes})).run()
    kept = json.loads((folder / "flow" / "flow.json").read_text())["record"]
    assert kept["step"] == 2
    said = capsys.readouterr().err
    assert said.count("NaN, which counts as the worst") == 1 + math.isnan(first)
    assert "best at step 2" in said


def test_where_no_validation_can_be_judged_the_last_step_is_kept(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(FlowTask, "validate", lambda *_: math.nan)
    changes = {"crop": (16, 16), "validate_every": 1, "out": str(tmp_path / "run"), "steps": 3}
    folder = Trainer(FlowConfig(**{**test_flow.SMALLEST, **changes})).run()
    kept = json.loads((folder / "flow" / "flow.json").read_text())["record"]
    assert kept["step"] == 3
    last = capsys.readouterr().err.splitlines()[-1]
    said = "no validation could judge anything, so the last step, 3, was kept; the flow is in"
    assert last.startswith(said)
