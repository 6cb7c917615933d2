"""How a run ends: broken off, in a folder that is taken, or with the threshold of the best F1."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score

import roadanomaly
from roadanomaly.cli.main import main
from roadanomaly.detectors.head import Head
from roadanomaly.errors import UserError
from roadanomaly.training.checkpoint import load_checkpoint
from roadanomaly.training.detector_task import DetectorTask
from roadanomaly.training.run_folder import RunFolder
from tests.training import runs
from tests.training.test_loop import at_step, write_config


@pytest.mark.slow
def test_a_second_signal_breaks_off(tmp_path, monkeypatch, capsys):
    """The second comes in the middle of step 3; the first would have let it save that step."""
    path = write_config(tmp_path, checkpoint_every=2)
    at_step(monkeypatch, 3, lambda: [os.kill(os.getpid(), signal.SIGTERM) for _ in range(2)])
    assert main(["train", str(path)]) == 130
    assert capsys.readouterr().err.splitlines()[-1] == "roadanomaly train: interrupted."
    assert load_checkpoint(tmp_path / "run" / "checkpoints" / "last.pt")["step"] == 2


@pytest.mark.parametrize("made", ["flow", "generator"])
def test_a_flow_or_a_generator_that_lies_in_the_folder_stays(tmp_path, made):
    (tmp_path / made).mkdir()
    with pytest.raises(UserError, match=f"already holds a {made}, and no checkpoint"):
        RunFolder(tmp_path).begin(runs.config(tmp_path), {})
    assert [path.name for path in tmp_path.iterdir()] == [made]


@pytest.mark.slow
def test_a_pixel_whose_score_is_the_threshold_of_the_best_f1_is_called(tmp_path, monkeypatch):
    """Scores of few values: `>` the saved threshold makes the best of all masks by `>=`."""
    monkeypatch.setattr(Head, "score", lambda _, __, image: (12 * image.mean(1)).round())
    task = DetectorTask(runs.config(tmp_path), RunFolder(tmp_path))
    task.model.detector.ready = True
    task.save(0)
    task.finish(None, 0, torch.device("cpu"))
    model, validator = roadanomaly.load(tmp_path), task.parts.validator
    frames = [validator.mixed(number) for number in range(len(validator.frames))]
    scores = np.concatenate([model(frame.image).score.ravel() for frame in frames])
    truth = np.concatenate([frame.truth.numpy().ravel() for frame in frames])
    values = np.unique(scores)
    assert 5 <= len(values) <= 13
    best = max(f1_score(truth[truth < 2], scores[truth < 2] >= value) for value in values)
    called = scores[truth < 2] > model.calibration.f1_threshold
    assert f1_score(truth[truth < 2], called) == pytest.approx(best, abs=1e-12)
