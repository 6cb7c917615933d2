"""Runs that start from a model: with its segmenter alone, or going on with its detector."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import roadanomaly
from roadanomaly.errors import OptionError
from roadanomaly.leaderboard.plan import Run
from roadanomaly.leaderboard.state import progress_of
from roadanomaly.model import Model, load
from roadanomaly.refiners import REFINERS
from roadanomaly.training.blend import blend
from roadanomaly.training.loop import Trainer
from roadanomaly.training.pace import seconds_a_step, steps_within
from roadanomaly.training.parts import build_parts
from tests.training import runs

WEIGHTS = Path("model") / "weights.safetensors"
ONE_STEP = {"steps": 1, "validate_every": 0}


@pytest.mark.slow
def test_a_run_goes_on_with_the_detector_of_its_start(tmp_path):
    refiners = ({"name": "smooth", "window": 3},)
    first = Trainer(runs.config(tmp_path / "first", refiners=refiners, **ONE_STEP))
    begun = load(first.run())
    changes = {"segmenter": None, "start": str(tmp_path / "first")}
    onwards = build_parts(runs.config(tmp_path / "second", **changes, detector=None)).model
    afresh = build_parts(runs.config(tmp_path / "third", **changes)).model
    assert [one.options() for one in onwards.head.refiners] == [{"window": 3}]
    for model in (onwards, afresh):
        assert model.record["train_data"]["name"] == "streets"
    for name, value in begun.detector.state_dict().items():
        assert torch.equal(onwards.detector.state_dict()[name], value)
    for name, value in begun.segmenter.state_dict().items():
        assert torch.equal(onwards.segmenter.state_dict()[name], value)
        assert torch.equal(afresh.segmenter.state_dict()[name], value)
    assert any(
        not torch.equal(afresh.detector.state_dict()[name], value)
        for name, value in begun.detector.state_dict().items()
    )


@pytest.mark.slow
def test_a_run_that_goes_on_is_not_done_before_it_is_finished(tmp_path, monkeypatch):
    """Killed after its last checkpoint, it must not carry the threshold of other weights."""
    start = Trainer(runs.config(tmp_path / "first", **ONE_STEP)).run()
    onwards = {"segmenter": None, "start": str(start), "detector": None, **ONE_STEP}
    config = runs.config(tmp_path / "on_0", **onwards)
    run = Run("on", 0, "train", tmp_path / "on_0", config, tmp_path / "on.yaml")
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_finish", lambda *_: pytest.fail("killed"))
        with pytest.raises(pytest.fail.Exception, match="killed"):
            Trainer(config).run()
    assert load(run.folder).calibration is None
    assert progress_of(run) == ("begun", "step 1 of 1")
    Trainer(config, resume=True).run()
    assert load(run.folder).calibration is not None
    assert progress_of(run)[0] == "done"


def test_a_run_without_a_detector_needs_a_start(tmp_path):
    with pytest.raises(OptionError, match="give `detector`"):
        runs.config(tmp_path, detector=None)
    with pytest.raises(OptionError, match="`teacher` teaches by the weight `distill`"):
        runs.config(tmp_path, teacher={"name": "espnetv2", "scale": 0.5})
    with pytest.raises(OptionError, match="`teacher_agrees` says what `distill` teaches"):
        runs.config(tmp_path, teacher_agrees=True)
    with pytest.raises(OptionError, match="`teach` says what `distill` teaches"):
        runs.config(tmp_path, teach="unlabelled")
    with pytest.raises(OptionError, match="teach"):
        runs.config(tmp_path, teach="labelled", distill=1.0)
    with pytest.raises(OptionError, match=r"`keep_start` is 0\.5, but the run does not go on"):
        runs.config(tmp_path, keep_start=0.5)


def test_half_way_between_two_layers():
    learned, begun = nn.BatchNorm1d(2), nn.BatchNorm1d(2)
    with torch.no_grad():
        learned.weight.copy_(torch.tensor([1.0, 5.0]))
        begun.weight.copy_(torch.tensor([3.0, -3.0]))
        learned.running_mean.fill_(8.0)
        learned.num_batches_tracked.fill_(7)
    blend(learned, begun, 0.25)
    assert learned.weight.tolist() == [1.5, 3.0]
    assert learned.running_mean.tolist() == [6.0, 6.0]
    assert learned.num_batches_tracked == 7
    assert begun.weight.tolist() == [3.0, -3.0]


@pytest.mark.slow
def test_a_run_keeps_a_share_of_its_start_once(tmp_path):
    begun = load_file(Trainer(runs.config(tmp_path / "first", **ONE_STEP)).run() / WEIGHTS)
    onwards = {"segmenter": None, "start": str(tmp_path / "first"), "detector": None, **ONE_STEP}
    learned = load_file(Trainer(runs.config(tmp_path / "all", **onwards)).run() / WEIGHTS)
    trainer = Trainer(runs.config(tmp_path / "half", **onwards, keep_start=0.25))
    folder = trainer.run()
    kept = load_file(folder / WEIGHTS)
    moved = [name for name, value in begun.items() if not torch.equal(value, learned[name])]
    assert len(moved) > 20
    for name in moved:
        if kept[name].is_floating_point():
            wanted = 0.75 * learned[name] + 0.25 * begun[name]
            assert torch.allclose(kept[name], wanted, rtol=1e-6, atol=1e-7), name
    trainer.task.finish(None, 1, torch.device("cpu"))
    again = load_file(folder / WEIGHTS)
    assert all(torch.equal(again[name], value) for name, value in kept.items())


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
    assert steps_within(300, 10.0, 10, beside=15) == 45
    assert steps_within(300, 10.0, 10, beside=59) == 20


@pytest.mark.parametrize("name", ["p_value", "meta_classification"])
def test_a_refiner_that_would_have_to_be_fitted_first_is_refused_at_the_start(tmp_path, name):
    with pytest.raises(OptionError, match=f"train: the refiner `{name}` is fitted") as caught:
        build_parts(runs.config(tmp_path, refiners=({"name": name},)))
    assert f"Leave `{name}` out of `refiners` and fit it behind" in str(caught.value)
    assert "`roadanomaly fit --run RUN --refiners ...`" in str(caught.value)


def started(tmp_path, refiner):
    """Return the config of a run that goes on with a model behind which a refiner stands."""
    segmenter = roadanomaly.segmenter("espnetv2", scale=0.5)
    model = Model(segmenter, roadanomaly.detector("densehybrid"))
    model.refine([REFINERS.build(refiner, {})])
    for part in (model.detector, *model.head.refiners):
        part.ready = True
    model.save(tmp_path / "model")
    return runs.config(tmp_path / "on", segmenter=None, start=str(tmp_path), detector=None)


def test_a_fitted_refiner_of_the_start_is_refused(tmp_path):
    with pytest.raises(OptionError, match="train: the refiner `p_value` is fitted") as caught:
        build_parts(started(tmp_path, "p_value"))
    assert f"`roadanomaly fit --run {tmp_path} --refiners '[]' ...` makes" in str(caught.value)


def test_a_model_that_was_adapted_before_goes_on_with_its_correction(tmp_path):
    model = build_parts(started(tmp_path, "correction")).model
    assert [type(one).__name__ for one in model.head.refiners] == ["Correction"]
