"""A flow that learns together with a segmenter: gradients, optimisers, checkpoints, processes."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
import yaml

from roadanomaly.cli.train import read_config
from roadanomaly.detectors.hybrid.nflowjs import NFlowJS
from roadanomaly.errors import OptionError
from roadanomaly.flows.store import load_flow
from roadanomaly.negatives.flow import LIKELIHOOD, FlowSamples
from roadanomaly.training.checkpoint import load_checkpoint
from roadanomaly.training.loop import Trainer
from roadanomaly.training.step import TrainingStep
from tests.contracts import toy
from tests.training import runs
from tests.training.pair import pair
from tests.training.test_loop import at_step, fail

GLOW = {"name": "glow", "levels": 1, "steps": 2, "hidden": 4}
JOINT = {
    "detector": {"name": "nflowjs"},
    "negatives": {"name": "flow", "flow": GLOW, "side": [8, 16]},
    "source_lr": 1e-3,
}
HALF = {
    **JOINT,
    "negatives": {"name": "mixture", "sources": [JOINT["negatives"], runs.SHAPES]},
}
BRIEF = {"steps": 1, "validate_every": 0}


def joint_step(**options) -> TrainingStep:
    """A toy segmenter, NFlowJS and a flow, in double precision, in inference mode.

    The temperature keeps all samples inside 0..1, where the clamp changes nothing.
    """
    torch.manual_seed(1)
    source = FlowSamples(flow=GLOW, side=(4, 8), temperature=0.05, **options)
    with torch.no_grad():
        for parameter in source.parameters():
            parameter.add_(0.03 * torch.randn_like(parameter))
    segmenter, detector = toy.ToySegmenter(), NFlowJS()
    detector.attach(segmenter)
    with torch.no_grad():  # not so sure that the divergence has no slope
        segmenter.classifier.weight.mul_(0.2).add_(
            0.1 * torch.randn_like(segmenter.classifier.weight)
        )
    settings = {"freeze_batch_norm": True, "supervise": "logits", "distill": 0.0}
    return TrainingStep(segmenter, detector, source, **settings).double().eval()


def batch():
    plain = toy.inliers(2, 0)
    return replace(plain, image=plain.image.double())


def losses(module):
    return module(batch(), np.random.default_rng(7))


def test_the_divergence_moves_the_flow_as_differences_say():
    """The gradient that no public code has: of one term, into one parameter of the flow."""
    module = joint_step()
    mixed = module.source.mix(batch(), np.random.default_rng(7))
    samples = mixed.image.movedim(1, -1)[mixed.negative]
    assert samples.min() > 0
    assert samples.max() < 1
    flow = module.source.flow
    names = ("levels.0.layers.1.shift", "levels.0.layers.3.network.4.weight")
    parameters = dict(flow.named_parameters())
    gradients = torch.autograd.grad(
        losses(module)["divergence"], [parameters[name] for name in names]
    )
    for name, gradient in zip(names, gradients, strict=True):
        place = int(gradient.abs().argmax())
        assert gradient.flatten()[place].abs() > 1e-6
        values, step = [], 1e-5
        for sign in (1, -1):
            with torch.no_grad():
                parameters[name].view(-1)[place] += sign * step
                values.append(losses(module)["divergence"].item())
                parameters[name].view(-1)[place] -= sign * step
        difference = (values[0] - values[1]) / (2 * step)
        assert gradient.flatten()[place].item() == pytest.approx(difference, rel=1e-3)


def test_every_parameter_of_the_flow_feels_the_divergence():
    module = joint_step()
    losses(module)["divergence"].backward()
    for key, parameter in module.source.flow.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.any(), key


def test_detached_it_feels_its_own_loss_alone():
    module = joint_step(detach_source=True)
    terms = losses(module)
    (terms["divergence"] + terms["cross_entropy"]).backward()
    assert all(p.grad is None for p in module.source.parameters())
    assert module.segmenter.classifier.weight.grad.any()
    terms = losses(module)
    terms[LIKELIHOOD].backward()
    assert all(p.grad is not None for p in module.source.parameters())


def test_the_same_samples_whether_detached_or_not():
    one, other = joint_step(), joint_step(detach_source=True)
    for key, value in losses(one).items():
        if key != LIKELIHOOD:  # its dequantisation draws anew
            assert value.item() == losses(other)[key].item()


def test_the_flows_loss_leaves_the_segmenter_alone():
    module = joint_step()
    losses(module)[LIKELIHOOD].backward()
    assert all(p.grad is None for p in module.segmenter.parameters())


@pytest.fixture(scope="module", params=["joint", "half"])
def whole(request, tmp_path_factory):
    """A joint run from start to end, and its config."""
    changes = JOINT if request.param == "joint" else HALF
    out = tmp_path_factory.mktemp("joint") / "whole"
    with pytest.MonkeyPatch.context() as patch:
        runs.judge_by(patch, float)
        return Trainer(runs.config(out, **changes)).run(), changes


@pytest.mark.slow
def test_a_joint_run_moves_both_and_keeps_the_flow(whole):
    folder, changes = whole
    trainer = Trainer(runs.config(folder.parent / "fresh", **changes))
    start = {k: v.clone() for k, v in trainer.task.module.source.state_dict().items()}
    last = load_checkpoint(folder / "checkpoints" / "last.pt")
    moved = last["task"]["source"]
    learned = [key for key, value in start.items() if not torch.equal(value, moved[key])]
    assert any("network" in key for key in learned)
    assert set(last["plans"]) == {"networks", "source"}
    kept = load_flow(folder)
    prefix = next(k for k in moved if k.endswith("levels.0.layers.1.shift"))
    assert torch.equal(kept.levels[0].layers[1].shift, moved[prefix])
    metrics = np.genfromtxt(folder / "metrics.csv", delimiter=",", names=True)
    assert (metrics["lr_source"] == 1e-3).all()
    assert (metrics[LIKELIHOOD] > 0).any()
    record = json.loads((folder / "record.json").read_text())
    plans = last["plans"].values()
    moments = [one for plan in plans for one in plan["optimiser"]["state"].values()]
    counted = sum(max(part.numel() for part in one.values()) for one in moments)
    assert record["trained_parameters"] == counted
    record = record["negatives"]
    one = record["sources"][0] if record["name"] == "mixture" else record
    assert one["flow"]["name"] == "glow"
    assert one["parameters"] == sum(p.numel() for p in kept.parameters())


@pytest.mark.slow
def test_pictures_and_likelihoods_are_in_tensorboard(whole):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(whole[0] / "tensorboard"), size_guidance={"images": 0}).Reload()
    assert {"flow/samples", "flow/scenes"} <= set(events.Tags()["images"])
    assert {"bits/inliers", "bits/samples"} <= set(events.Tags()["histograms"])


@pytest.mark.slow
def test_a_joint_run_that_died_goes_on_unchanged(whole, tmp_path, monkeypatch):
    runs.judge_by(monkeypatch, float)
    folder, changes = whole
    config = runs.config(tmp_path / "died", **changes)
    with monkeypatch.context() as patch:
        at_step(patch, 4, fail)
        with pytest.raises(RuntimeError, match="plug"):
            Trainer(config).run()
    runs.assert_equal_runs(folder, Trainer(config, resume=True).run())


@pytest.mark.slow
def test_each_optimiser_clips_and_schedules_on_its_own(tmp_path, monkeypatch):
    seen = []
    from torch.optim import Adamax

    step = Adamax.step

    def patched(self, *arguments, **named):
        grads = [p.grad for group in self.param_groups for p in group["params"]]
        seen.append(torch.cat([g.flatten() for g in grads if g is not None]).norm().item())
        return step(self, *arguments, **named)

    monkeypatch.setattr(Adamax, "step", patched)
    changes = {**JOINT, "clip": 0.0, "source_clip": 1e-3, "source_schedule": "poly"}
    folder = Trainer(runs.config(tmp_path / "run", **changes, schedule="constant")).run()
    assert max(seen) <= 1e-3 * (1 + 1e-4)
    metrics = np.genfromtxt(folder / "metrics.csv", delimiter=",", names=True)
    assert (metrics["lr"] == 1e-4).all()
    np.testing.assert_allclose(metrics["lr_source"], 1e-3 * (1 - np.arange(4) / 4) ** 0.9)


@pytest.mark.slow
def test_detaching_changes_what_the_flow_becomes(tmp_path):
    def final(**options):
        negatives = {**JOINT["negatives"], **options}
        changes = {**JOINT, "negatives": negatives, **BRIEF}
        folder = Trainer(runs.config(tmp_path / str(len(options)), **changes)).run()
        return load_checkpoint(folder / "checkpoints" / "last.pt")["task"]["source"]

    joint, apart = final(), final(detach_source=True)
    assert any(not torch.equal(joint[key], apart[key]) for key in joint)


def test_a_flow_cannot_judge(tmp_path):
    with pytest.raises(OptionError, match="must not learn"):
        Trainer(runs.config(tmp_path / "run", val_negatives=JOINT["negatives"]))


def train_jointly(path: str) -> None:
    """Train, and leave the flow that this process ends with."""
    trainer = Trainer(read_config([path])[0])
    trainer.run()
    flow = trainer.task.flow.state_dict()
    torch.save(flow, f"{path}.{trainer.fabric.global_rank}")


@pytest.mark.slow
@pytest.mark.parametrize("changes", [JOINT, HALF], ids=["joint", "half"])
def test_two_processes_train_jointly(tmp_path, changes):
    """The flow starts and stays equal on both: gradients and first moments are shared."""
    path = tmp_path / "config.yaml"
    brief = {**runs.SMALLEST, **changes, **BRIEF, "steps": 2}
    values = {**brief, "out": str(tmp_path / "run"), "devices": "auto"}
    path.write_text(yaml.safe_dump(json.loads(json.dumps(values))))
    (first, said), (second, told) = pair(train_jointly, str(path))
    assert (first, second) == (0, 0), said + told
    one, two = (torch.load(f"{path}.{rank}", weights_only=True) for rank in (0, 1))
    assert all(torch.equal(one[key], two[key]) for key in one)
    fresh = Trainer(runs.config(tmp_path / "fresh", **changes)).task.flow.state_dict()
    assert any(not torch.equal(one[key], fresh[key]) for key in one)
