"""Whole runs, kept as small as they can be: to the end, stopped, resumed, refused."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

import roadanomaly
from roadanomaly.data.streets import Streets
from roadanomaly.errors import DataError, OptionError, TrainingDiverged, UserError
from roadanomaly.training.checkpoint import load_checkpoint
from roadanomaly.training.detector_task import DetectorTask
from roadanomaly.training.loop import Interrupted, Trainer
from roadanomaly.training.run_folder import RunFolder
from roadanomaly.training.step import TrainingStep
from tests.processes import command
from tests.training import runs
from tests.training.pair import trained


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """A run from start to end; other tests only read it."""
    return Trainer(runs.config(tmp_path_factory.mktemp("runs") / "whole")).run()


def at_step(monkeypatch, wanted, action):
    """Call `action` once, when the first pass of a step begins."""
    update = Trainer.update

    def patched(self, step, batches):
        if step == wanted:
            action()
        return update(self, step, batches)

    monkeypatch.setattr(Trainer, "update", patched)


def fail():
    raise RuntimeError("the plug was pulled")


@pytest.mark.slow
def test_a_run_leaves_what_it_promises(uninterrupted):
    names = {path.name for path in uninterrupted.iterdir()}
    assert names >= {"checkpoints", "config.yaml", "metrics.csv", "model", "record.json"}
    assert RunFolder(uninterrupted).finished
    record = json.loads((uninterrupted / "record.json").read_text())
    assert record["seed"] == 0
    assert record["train_data"]["count"] == 3
    assert record["negatives"]["name"] == "shapes"
    assert record["packages"]["torch"] == torch.__version__.split("+")[0]
    config = yaml.safe_load((uninterrupted / "config.yaml").read_text())
    assert config["steps"] == 4
    metrics = np.genfromtxt(uninterrupted / "metrics.csv", delimiter=",", names=True)
    assert metrics["step"].tolist() == [1, 2, 3, 4]
    assert all(np.isfinite(metrics[name]).all() for name in metrics.dtype.names)
    validation = np.genfromtxt(uninterrupted / "validation.csv", delimiter=",", names=True)
    assert validation["step"].tolist() == [0, 2, 4]
    best = json.loads((uninterrupted / "model" / "model.json").read_text())["record"]
    assert best["validation"]["ap"] == pytest.approx(np.nanmax(validation["ap"]))


@pytest.mark.slow
@pytest.mark.parametrize("best", [2, 4])
def test_the_saved_model_is_the_best_average(tmp_path, monkeypatch, best):
    averages = {}
    save = DetectorTask.save

    def seen(self, step):
        averages[step] = {key: value.clone() for key, value in self.learned.state_dict().items()}
        save(self, step)

    monkeypatch.setattr(DetectorTask, "save", seen)
    runs.judge_by(monkeypatch, {0: 0, 2: 1, 4: best - 2}.get)
    folder = Trainer(runs.config(tmp_path / "run")).run()
    last = load_checkpoint(folder / "checkpoints" / "last.pt")
    saved = roadanomaly.load(folder).networks.state_dict()
    assert all(torch.equal(saved[key], value) for key, value in averages[best].items())
    average = last["average"]["state"]
    kept = {key: torch.equal(saved[key], value) for key, value in average.items()}
    assert all(kept.values()) if best == last["step"] else not all(kept.values())
    assert not all(torch.equal(average[key], last["networks"][key]) for key in average)


def test_the_saved_model_is_calibrated(uninterrupted):
    model = roadanomaly.load(uninterrupted)
    assert model.calibration.rate == 0.01
    assert model.calibration.data == "streets val"


def test_the_stated_false_alarm_rate_is_met_on_the_validation_inliers(uninterrupted):
    model = roadanomaly.load(uninterrupted)
    scores = []
    for frame in Streets("val", count=2, height=48, width=64):
        score = model(frame.image).score
        scores.append(score[frame.label.numpy() < roadanomaly.NEGATIVE])
    pooled = np.concatenate(scores)
    assert model.calibration.pixels == len(pooled)
    assert (pooled > model.calibration.threshold).mean() == pytest.approx(0.01, abs=2e-3)


@pytest.mark.slow
def test_the_same_config_gives_the_same_run_whatever_the_workers(uninterrupted, tmp_path):
    again = Trainer(runs.config(tmp_path / "again", workers=1, checkpoint_every=4)).run()
    runs.assert_equal_runs(uninterrupted, again)


@pytest.mark.slow
@pytest.mark.parametrize("step", [4, pytest.param(3, marks=pytest.mark.slow)])
def test_a_run_that_died_goes_on_unchanged(uninterrupted, tmp_path, monkeypatch, step):
    config = runs.config(tmp_path / "died")
    with monkeypatch.context() as patch:
        at_step(patch, step, fail)
        with pytest.raises(RuntimeError, match="plug"):
            Trainer(config).run()
    assert load_checkpoint(tmp_path / "died" / "checkpoints" / "last.pt")["step"] < step
    runs.assert_equal_runs(uninterrupted, Trainer(config, resume=True).run())


@pytest.mark.slow
@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)]
)
def test_a_run_that_was_asked_to_stop_saves_first(uninterrupted, tmp_path, monkeypatch, number):
    config = runs.config(tmp_path / "stopped", checkpoint_every=100)
    before = signal.getsignal(number)
    with monkeypatch.context() as patch:
        at_step(patch, 3, lambda: os.kill(os.getpid(), number))
        with pytest.raises(Interrupted, match=r"after step 3; .*--resume"):
            Trainer(config).run()
    assert signal.getsignal(number) is before
    assert load_checkpoint(tmp_path / "stopped" / "checkpoints" / "last.pt")["step"] == 3
    runs.assert_equal_runs(uninterrupted, Trainer(config, resume=True).run())


@pytest.mark.slow
def test_a_run_that_died_while_it_finished_is_finished(uninterrupted, tmp_path, monkeypatch):
    config = runs.config(tmp_path / "died")
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_finish", lambda *_: fail())
        with pytest.raises(RuntimeError, match="plug"):
            Trainer(config).run()
    assert not RunFolder(config.out).finished
    runs.assert_equal_runs(uninterrupted, Trainer(config, resume=True).run())
    assert roadanomaly.load(config.out).calibration is not None
    assert RunFolder(config.out).finished


@pytest.mark.slow
def test_a_finished_run_can_be_resumed_and_changes_nothing(uninterrupted, tmp_path):
    before = (uninterrupted / "model" / "weights.safetensors").read_bytes()
    Trainer(runs.config(uninterrupted), resume=True).run()
    assert (uninterrupted / "model" / "weights.safetensors").read_bytes() == before


@pytest.mark.slow
def test_a_resumed_run_must_be_the_same_run(uninterrupted):
    with pytest.raises(OptionError, match=r"--resume: `lr` was 0\.0001 and is 0\.5 now"):
        Trainer(runs.config(uninterrupted, lr=0.5), resume=True)
    changed = runs.config(uninterrupted, detector={"name": "densehybrid", "beta": 1.0})
    with pytest.raises(OptionError, match="`detector` was"):
        Trainer(changed, resume=True)


def test_an_existing_run_is_not_overwritten(uninterrupted):
    with pytest.raises(UserError, match="already holds a run; continue it with --resume"):
        Trainer(runs.config(uninterrupted))


def test_a_model_that_lies_in_the_folder_is_not_deleted(uninterrupted, tmp_path):
    roadanomaly.load(uninterrupted).save(tmp_path / "model")
    with pytest.raises(UserError, match="already holds a"):
        Trainer(runs.config(tmp_path))
    assert (tmp_path / "model" / "weights.safetensors").exists()


@pytest.mark.slow
def test_a_run_that_died_before_its_first_checkpoint_starts_anew(tmp_path, monkeypatch):
    config = runs.config(tmp_path / "young")
    with monkeypatch.context() as patch:
        at_step(patch, 2, fail)
        with pytest.raises(RuntimeError, match="plug"):
            Trainer(config).run()
    with pytest.raises(DataError, match="nothing to resume"):
        Trainer(config, resume=True)
    assert Trainer(config).step == 0


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match=r"file/run/.* cannot be written"):
        Trainer(runs.config(tmp_path / "file" / "run"))


def poison(monkeypatch, wanted, value):
    """Make a loss non-finite, or with `value` None a gradient, from a step on."""
    from roadanomaly.detectors.hybrid.densehybrid import DenseHybrid

    loss, calls = DenseHybrid.loss, []

    def patched(self, segmentation, batch):
        terms = loss(self, segmentation, batch)
        calls.append(1)
        if len(calls) > 2 * (wanted - 1):
            zero = segmentation.logits.sum() * 0
            terms["density"] = terms["density"] + (zero.sqrt() if value is None else value)
        return terms

    monkeypatch.setattr(DenseHybrid, "loss", patched)


@pytest.mark.slow
@pytest.mark.parametrize(
    "value", [float("nan"), pytest.param(float("inf"), marks=pytest.mark.slow)]
)
def test_a_loss_that_is_not_finite_stops_the_run(tmp_path, monkeypatch, value):
    poison(monkeypatch, 4, value)
    with pytest.raises(TrainingDiverged) as caught:
        Trainer(runs.config(tmp_path / "run")).run()
    text = str(caught.value)
    assert f"the loss became {value} at step 4" in text
    assert "train_000" in text
    last = load_checkpoint(tmp_path / "run" / "checkpoints" / "last.pt")
    assert last["step"] == 2
    assert all(torch.isfinite(value).all() for value in last["networks"].values())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("clip", "precision"), [(0.0, "32-true"), (1.0, "32-true"), (0.0, "16-mixed")]
)
def test_a_gradient_that_is_not_finite_stops_the_run(tmp_path, monkeypatch, clip, precision):
    """On a CPU `16-mixed` is bfloat16, without a scaler that would leave the step out."""
    poison(monkeypatch, 2, None)
    changes = {"clip": clip, "precision": precision, "checkpoint_every": 1}
    with pytest.raises(TrainingDiverged, match=r"gradient of the networks became .* at step 2"):
        Trainer(runs.config(tmp_path / "run", **changes)).run()
    last = load_checkpoint(tmp_path / "run" / "checkpoints" / "last.pt")
    assert last["step"] == 1
    assert all(torch.isfinite(value).all() for value in last["networks"].values())


@pytest.mark.slow
def test_without_a_detector_to_train_the_segmenter_learns_the_classes(tmp_path):
    changes = {
        "detector": {"name": "msp"},
        "negatives": None,
        "val_negatives": None,
        "steps": 25,
        "accumulate": 1,
        "lr": 2e-2,
        "schedule": "constant",
        "average": 0.0,
        "freeze_batch_norm": False,
        "degrade": 0.0,
        "validate_every": 0,
        "checkpoint_every": 25,
    }
    folder = Trainer(runs.config(tmp_path / "run", **changes)).run()
    loss = np.genfromtxt(folder / "metrics.csv", delimiter=",", names=True)["cross_entropy"]
    assert loss[-5:].mean() < 0.75 * loss[:3].mean()
    assert roadanomaly.load(folder).calibration is not None


@pytest.mark.slow
def test_clipping_bounds_the_gradient(tmp_path, monkeypatch):
    seen = []
    from torch.optim import AdamW

    step = AdamW.step

    def patched(self, *arguments, **named):
        grads = [p.grad for group in self.param_groups for p in group["params"]]
        seen.append(torch.cat([g.flatten() for g in grads if g is not None]).norm().item())
        return step(self, *arguments, **named)

    monkeypatch.setattr(AdamW, "step", patched)
    Trainer(runs.config(tmp_path / "run", clip=1e-3, steps=2)).run()
    assert max(seen) <= 1e-3 * (1 + 1e-4)


@pytest.mark.slow
def test_logged_terms_are_means_over_the_passes_of_a_step(tmp_path):
    one = Trainer(runs.config(tmp_path / "run", steps=1))
    batches = list(one.batches())
    one.module.train()
    terms = [{k: v.item() for k, v in one.task.module(b.to("cpu")).items()} for b in batches]
    logged = one.update(1, iter(batches)).logged()
    assert logged.pop("lr") == one.config.lr
    for key, value in logged.items():
        assert value == pytest.approx(np.mean([term[key] for term in terms]), rel=1e-3)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"detector": {"name": "mahalanobis"}}, "fitted, not trained: run `roadanomaly fit`"),
        ({"negatives": None}, "give `negatives:`"),
        (
            {"segmenter": {"name": "espnetv2", "classes": ["a", "b"]}},
            "19 classes and the segmenter 2",
        ),
        ({"detector": {"name": "densehybird"}}, "did you mean `densehybrid`"),
        ({"detector": {"beta": 1}}, "a detector needs a `name:`"),
        ({"detector": {"name": "densehybrid", "betta": 1}}, "did you mean `beta`"),
        ({"accelerator": "gpux"}, "accelerator"),
        ({"accelerator": "tpu"}, "accelerator"),
        ({"devices": 0}, "devices"),
    ],
)
def test_configs_that_cannot_work_are_refused(tmp_path, changes, words):
    with pytest.raises(UserError, match=words):
        Trainer(runs.config(tmp_path / "run", **changes))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("steps", 0), ("batch_size", 0), ("lr", -1.0), ("crop", (8, 64)), ("scale", (2.0, 1.0)),
        ("jitter", 1.5), ("average", 1.0), ("false_alarms", 0.0), ("seed", -1), ("val_frames", -1),
    ],
)  # fmt: skip
def test_values_out_of_range_name_their_key(key, value):
    with pytest.raises(OptionError, match=f"config: `{key}` must be .*, not"):
        runs.config(Path("x"), **{key: value})


def test_the_threshold_of_the_best_validation_f1_is_saved(uninterrupted):
    calibration = roadanomaly.load(uninterrupted).calibration
    assert calibration.f1_data == f"{calibration.data} with held-out negatives"
    assert calibration.at(way="f1").threshold == calibration.f1_threshold


@pytest.mark.slow
def test_a_validation_without_a_number_still_gives_a_model(tmp_path):
    """No negative in any validation frame: the average precision is not a number."""
    silent = {**runs.SHAPES, "probability": 0.0}
    folder = Trainer(runs.config(tmp_path / "run", val_negatives=silent, steps=2)).run()
    assert roadanomaly.load(folder).calibration is not None


def write_config(folder: Path, **changes) -> Path:
    path = folder / "config_to_run.yaml"
    values = {**runs.SMALLEST, "out": str(folder / "run"), **changes}
    path.write_text(yaml.safe_dump(json.loads(json.dumps(values))))
    return path


@pytest.mark.slow
def test_a_run_that_was_killed_goes_on_unchanged(tmp_path):
    changes = {"steps": 12, "checkpoint_every": 1, "validate_every": 6, "workers": 1}
    whole = Trainer(runs.config(tmp_path / "whole", **changes)).run()
    path = write_config(tmp_path, **changes)
    last = tmp_path / "run" / "checkpoints" / "last.pt"
    process = command(["train", path])
    while not (last.exists() and load_checkpoint(last)["step"] >= 2):
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    process.kill()
    process.communicate()
    assert load_checkpoint(last)["step"] < 12
    resumed = command(["train", path, "--resume"])
    output = resumed.communicate()
    assert resumed.returncode == 0, output
    runs.assert_equal_runs(whole, tmp_path / "run")


@pytest.mark.slow
def test_two_processes_of_one_crop_equal_one_process_of_two(tmp_path):
    """Without negatives, void and padding, the mean of the processes' means is the whole mean."""
    changes = {
        "detector": {"name": "msp"},
        "negatives": None,
        "val_negatives": None,
        "scale": [1.0, 1.0],
        "degrade": 0.0,
        "steps": 3,
        "accumulate": 2,
        "schedule": "constant",
        "devices": "auto",
    }
    path = write_config(tmp_path, **changes, batch_size=1)
    (first, said), (second, told) = trained(path)
    assert (first, second) == (0, 0), said + told
    record = json.loads((tmp_path / "run" / "record.json").read_text())
    assert record["processes"] == 2
    alone = Trainer(runs.config(tmp_path / "alone", **changes, batch_size=2)).run()
    one, two = runs.final_state(alone), runs.final_state(tmp_path / "run")
    for key in one:
        if key.startswith(("last/", "average/")):
            torch.testing.assert_close(two[key], one[key], rtol=1e-3, atol=2e-5)


@pytest.mark.slow
def test_a_pass_that_fails_on_spoilt_weights_is_told_as_divergence(tmp_path, monkeypatch):
    forward = TrainingStep.forward

    def spoiling(self, batch, rng=None):
        weight = next(iter(self.parameters()))
        if weight.isnan().any():
            raise ValueError("matrix contains invalid numeric entries")
        terms = forward(self, batch, rng)
        return {**terms, "steep": (0 * weight).sqrt().sum()}

    monkeypatch.setattr(TrainingStep, "forward", spoiling)
    with pytest.raises(TrainingDiverged, match=r"gradient of the networks became nan at step 1 "):
        Trainer(runs.config(tmp_path / "run", average=0.0)).run()
    assert not (tmp_path / "run" / "model").exists()
