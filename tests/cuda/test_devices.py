"""The loop, resuming, averages and `fit` on every device that this machine has."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from torch import nn

import roadanomaly
from roadanomaly.detectors import DETECTORS
from roadanomaly.fitting import fit
from roadanomaly.model import Model
from roadanomaly.training.average import WeightAverage
from roadanomaly.training.checkpoint import load_checkpoint
from roadanomaly.training.loop import Trainer
from tests.contracts import toy
from tests.training import runs
from tests.training.test_joint import JOINT
from tests.training.test_loop import at_step, fail

gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
CUDA = pytest.param("cuda", marks=[pytest.mark.cuda, gpu])
each = pytest.mark.parametrize("device", ["cpu", CUDA])
each_in_time = pytest.mark.parametrize(
    "device", [pytest.param("cpu", marks=pytest.mark.slow), CUDA]
)
"""On the CPU `tests/training` says the same, and more."""

SHORT = {"steps": 2, "accumulate": 1, "checkpoint_every": 1, "validate_every": 0}
KINDS = {"shapes": SHORT, "flow": {**SHORT, **JOINT}}
NEAR = {"shapes": 1e-2, "flow": 5e-2}
"""Of a loss, relative: a GPU may round to TF32, and a flow draws noise of its own on it."""


def config(folder, device, kind="shapes", **changes):
    return runs.config(folder, accelerator=device, **{**KINDS[kind], **changes})


def losses(folder):
    table = np.genfromtxt(folder / "metrics.csv", delimiter=",", names=True)
    return {name: table[name] for name in table.dtype.names if name not in ("step", "seconds")}


@pytest.fixture(scope="module")
def on_cpu(tmp_path_factory):
    """Return the folder of a run of a kind on the CPU; tests only read it."""
    return cache(
        lambda kind: Trainer(config(tmp_path_factory.mktemp("cpu") / kind, "cpu", kind)).run()
    )


@each_in_time
@pytest.mark.parametrize("kind", KINDS)
def test_a_run_is_that_of_the_cpu_and_lies_on_the_device(device, kind, on_cpu, tmp_path):
    trainer = Trainer(config(tmp_path / "run", device, kind))
    seen = set()
    trainer.task.module.register_forward_pre_hook(
        lambda module, given: seen.update(
            one.device.type
            for one in (given[0].image, given[0].label, *module.parameters(), *module.buffers())
        )
    )
    found, expected = losses(trainer.run()), losses(on_cpu(kind))
    assert seen == {device}
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(found[name][0], values[0], rtol=NEAR[kind], err_msg=name)
        assert np.isfinite(found[name]).all()
    model = roadanomaly.load(tmp_path / "run", device)
    assert model.device.type == device
    assert model.calibration is not None


@each_in_time
def test_a_run_that_died_goes_on(device, on_cpu, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        at_step(patch, 2, fail)
        with pytest.raises(RuntimeError, match="plug"):
            Trainer(config(tmp_path / "run", device)).run()
    trainer = Trainer(config(tmp_path / "run", device), resume=True)
    assert trainer.step == 1
    moments = [
        value
        for plan in trainer.plans
        for state in plan.optimiser.state.values()
        for key, value in state.items()
        if key != "step"
    ]
    assert {one.device.type for one in moments} == {device}
    folder = trainer.run()
    if device == "cpu":
        runs.assert_equal_runs(on_cpu("shapes"), folder)
    last, expected = (
        load_checkpoint(one / "checkpoints" / "last.pt") for one in (folder, on_cpu("shapes"))
    )
    assert last["step"] == 2
    for key, value in expected["networks"].items():
        # a step of Adam is as long as its rate
        torch.testing.assert_close(last["networks"][key].cpu(), value, rtol=1e-2, atol=5e-3)


@each
def test_an_average_is_that_of_its_definition(device):
    module, decay = nn.BatchNorm1d(2).to(device), 0.6
    average = WeightAverage(module, decay)
    expected = module.weight.detach().cpu().numpy().copy()
    for step in range(6):
        with torch.no_grad():
            module.weight.add_(torch.randn(2).to(device))
        average.update(module)
        keep = min(decay, (1 + step) / (10 + step))
        expected = keep * expected + (1 - keep) * module.weight.detach().cpu().numpy()
    assert {one.device.type for one in average.state.values()} == {device}
    np.testing.assert_allclose(average.state["weight"].cpu().numpy(), expected, rtol=1e-5)
    learned = module.weight.detach().clone()
    with average.put_into(module):
        assert torch.equal(module.weight, average.state["weight"])
    assert torch.equal(module.weight, learned)


@each
def test_a_detector_is_fitted_on_the_device(device):
    """The class means are the pure colours, beside their mean."""
    model = Model(toy.ToySegmenter(), DETECTORS.build("mahalanobis")).to(device)
    fit(model, toy.Frames(*(toy.inliers(4, seed) for seed in range(3))))
    detector = model.detector
    assert {one.device.type for one in detector.buffers()} == {device}
    colours = torch.cat([torch.eye(3), torch.full((3, 1), 1 / 3)], 1)
    torch.testing.assert_close(detector.means.cpu(), colours, rtol=0, atol=0.03)
    strange = toy.planted(toy.inliers(2, 9), 0.25)
    score = model.score(strange.image.to(device))[0].cpu().numpy()
    inside = score[:, 8:12, 12:18]
    assert inside.min() > 10 * np.median(score)
