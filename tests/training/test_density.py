"""Embedding density in the training loop: prepared before, held out after, resumed unchanged."""

from __future__ import annotations

import csv
import json

import pytest
import torch
import yaml

import roadanomaly
from roadanomaly.errors import DataError
from roadanomaly.training.checkpoint import load_checkpoint
from roadanomaly.training.loop import Trainer
from tests.training import runs
from tests.training.pair import trained

DENSITY = {"name": "embedding_density", "dimensions": 4, "hidden": 8, "couplings": 2}
CHANGES = {
    "detector": DENSITY,
    "train_data": {**runs.STREETS, "count": 4},
    "negatives": None,
    "held_out": 0.3,
    "head_lr": 2e-3,
    "accumulate": 1,
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run from start to end; other tests only read it."""
    return Trainer(runs.config(tmp_path_factory.mktemp("runs") / "whole", **CHANGES)).run()


@pytest.mark.slow
def test_it_leaves_a_model_that_scores_and_a_segmenter_as_it_was(whole):
    model = roadanomaly.load(whole)
    assert model.calibration.data == "streets val"
    assert model.detector.ready
    assert model.detector.learned_from == "none"
    with (whole / "metrics.csv").open() as file:
        assert {"nll_decoder8", "lr"} <= set(next(csv.reader(file)))
    last = load_checkpoint(whole / "checkpoints" / "last.pt")["networks"]
    torch.manual_seed(0)
    fresh = roadanomaly.segmenter("espnetv2", scale=0.5).state_dict()
    assert all(torch.equal(last[f"segmenter.{key}"], value) for key, value in fresh.items())


def test_it_learns_from_the_held_in_frames_and_prepares_on_them(tmp_path):
    trainer = Trainer(runs.config(tmp_path / "run", **CHANGES))
    task = trainer.task
    assert len(task.frames) + len(task.split.held_out) == 4
    assert task.frames.frame_ids() == task.split.held_in.frame_ids()
    assert 0 < len(task.split.held_out) < 4
    whitening = next(iter(task.model.detector.densities.values())).whitening
    assert not whitening.matrix.any()
    trainer._prepare()
    assert whitening.matrix.any()
    average = trainer.average.state
    assert torch.equal(average["detector.densities.decoder8.whitening.matrix"], whitening.matrix)


@pytest.mark.slow
def test_a_run_that_goes_on_keeps_the_statistics_that_its_flows_rest_on(whole, tmp_path):
    """Of other frames, so that a second walk could not find the same."""
    begun = roadanomaly.load(whole).detector.state_dict()
    onwards = {"segmenter": None, "detector": None, "start": str(whole), "average": 0.0}
    changes = {**CHANGES, **onwards, "train_data": {**runs.STREETS, "count": 4, "seed": 5}}
    trainer = Trainer(runs.config(tmp_path / "onwards", **changes))
    trainer._prepare()
    prepared = trainer.task.model.detector.state_dict()
    name = "densities.decoder8.whitening.matrix"
    assert begun[name].any()
    assert torch.equal(prepared[name], begun[name])
    assert all(torch.equal(prepared[key], value) for key, value in begun.items())
    assert json.loads((trainer.run() / "model" / "model.json").read_text())["record"]["step"] > 0


@pytest.mark.slow
def test_a_gradient_of_the_image_is_no_hindrance_to_going_on(tmp_path):
    detector = {"name": "differnet", "dimensions": 4, "hidden": 8, "couplings": 2, "window": 4}
    changes = {**CHANGES, "detector": detector, "steps": 1, "validate_every": 0, "average": 0.0}
    begun = Trainer(runs.config(tmp_path / "begun", **changes)).run()
    onwards = {"segmenter": None, "detector": None, "start": str(begun)}
    folder = Trainer(runs.config(tmp_path / "onwards", **{**changes, **onwards})).run()
    states = [roadanomaly.load(one).detector.state_dict() for one in (begun, folder)]
    for key, value in states[0].items():
        assert torch.equal(states[1][key], value) or "whitening" not in key


@pytest.mark.slow
def test_a_resumed_run_takes_its_preparation_from_the_checkpoint(whole, tmp_path, monkeypatch):
    config = runs.config(tmp_path / "died", **CHANGES)
    update = Trainer.update

    def dies(self, step, batches):
        if step == 4:
            raise RuntimeError("the plug was pulled")
        return update(self, step, batches)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "update", dies)
        with pytest.raises(RuntimeError, match="plug"):
            Trainer(config).run()
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_prepare", lambda _: pytest.fail("prepared twice"))
        Trainer(config, resume=True).run()
    runs.assert_equal_runs(whole, tmp_path / "died")


@pytest.mark.slow
def test_without_negatives_to_validate_on_the_last_step_is_kept(tmp_path):
    changes = {**CHANGES, "val_negatives": None, "steps": 2, "validate_every": 1, "average": 0.0}
    folder = Trainer(runs.config(tmp_path / "run", **changes)).run()
    assert json.loads((folder / "model" / "model.json").read_text())["record"]["step"] == 2


@pytest.mark.slow
def test_a_logistic_regression_needs_negatives_and_takes_them_from_the_config(tmp_path):
    detector = {**DENSITY, "aggregate": "logistic"}
    changes = {**CHANGES, "detector": detector, "steps": 1, "average": 0.0}
    with pytest.raises(DataError, match=r"needs labelled anomalies.*`negatives"):
        Trainer(runs.config(tmp_path / "none", **changes))._prepare()
    changes["negatives"] = runs.SHAPES
    model = roadanomaly.load(Trainer(runs.config(tmp_path / "some", **changes)).run())
    assert model.detector.learned_from == "synthetic negatives"
    assert model.detector.weight != 1


@pytest.mark.slow
def test_two_processes_prepare_alike_and_end_alike(tmp_path):
    path = tmp_path / "config_to_run.yaml"
    changes = {**CHANGES, "steps": 2, "devices": "auto", "crop": [32, 48]}
    config = {**runs.SMALLEST, **changes, "out": str(tmp_path / "run")}
    path.write_text(yaml.safe_dump(json.loads(json.dumps(config))))
    (first, said), (second, told) = trained(path)
    assert (first, second) == (0, 0), said + told
    assert roadanomaly.load(tmp_path / "run").detector.ready
