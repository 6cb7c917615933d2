"""What makes a run faster on a GPU: resolved, left out with a message, or of no effect on results.

CUDA is pretended where only a decision is tested.
"""

from __future__ import annotations

import pytest
import torch
from torch import nn

from roadanomaly.errors import UserError
from roadanomaly.precision import allow_tf32
from roadanomaly.training import engine, speed
from roadanomaly.training.loop import Trainer
from roadanomaly.training.optimiser import build_optimiser
from roadanomaly.training.stream import worker_count
from roadanomaly.types import Batch
from tests.training import runs
from tests.training.test_joint import JOINT


@pytest.fixture
def tf32():
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    yield lambda: (torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32)
    torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


@pytest.mark.parametrize(
    ("asked", "cuda", "bf16", "taken"),
    [
        ("auto", False, True, "32-true"),
        ("auto", True, True, "bf16-mixed"),
        ("auto", True, False, "32-true"),
        ("16-mixed", True, True, "16-mixed"),
        ("32-true", True, True, "32-true"),
    ],
)
def test_auto_is_half_precision_where_the_card_has_it(
    asked, cuda, bf16, taken, tmp_path, monkeypatch
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: bf16)
    config = runs.config(tmp_path, precision=asked, accelerator="auto")
    assert engine.resolved(config).precision == taken
    assert engine.resolved(runs.config(tmp_path, accelerator="cpu")).precision == "32-true"


def test_the_run_keeps_what_auto_stood_for(tmp_path):
    one = Trainer(runs.config(tmp_path / "run", precision="auto"))
    assert one.config.precision == "32-true"
    assert "precision: 32-true" in (tmp_path / "run" / "config.yaml").read_text()
    assert one.record["config"]["precision"] == "32-true"


def test_a_gpu_gets_its_share_of_the_cores(tmp_path, monkeypatch):
    monkeypatch.setattr("roadanomaly.training.stream.cores", lambda: 16)
    auto = runs.config(tmp_path, workers="auto")
    assert worker_count(auto, cuda=False, world=1) == 1
    assert worker_count(auto, cuda=True, world=1) == 8
    assert worker_count(auto, cuda=True, world=4) == 3
    assert worker_count(auto, cuda=True, world=16) == 1
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert worker_count(auto, cuda=True, world=16) == 3
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "0")
    with pytest.raises(UserError, match=r"LOCAL_WORLD_SIZE is '0'; .* whole number from 1"):
        worker_count(auto, cuda=True, world=16)
    assert worker_count(runs.config(tmp_path, workers=5), cuda=True, world=4) == 5


@pytest.mark.parametrize("value", [-1, "many"])
def test_workers_are_auto_or_a_number(value, tmp_path):
    with pytest.raises(Exception, match="config: `workers` must be `auto` or a number"):
        runs.config(tmp_path, workers=value)


def test_float32_is_rounded_where_no_density_is_trained(tmp_path, tf32):
    segmenter = Trainer(runs.config(tmp_path / "a")).task
    flow = Trainer(runs.config(tmp_path / "b", **JOINT)).task
    for task, rounded in ((segmenter, True), (flow, False)):
        allow_tf32(not rounded)
        assert speed.prepare_for(task, runs.config(tmp_path), cuda=True, processes=1) == []
        assert tf32() == (rounded, rounded)


@pytest.mark.slow
def test_weights_with_channels_last_give_the_same_loss_and_are_saved_as_ever(tmp_path, tf32):
    one = Trainer(runs.config(tmp_path / "a", steps=2))
    other = Trainer(runs.config(tmp_path / "b", steps=2))
    speed.prepare_for(other.task, other.config, cuda=True, processes=1)
    wide = [p for p in other.task.learned.parameters() if p.dim() == 4 and p.shape[1] > 1]
    assert all(p.is_contiguous(memory_format=torch.channels_last) for p in wide)
    losses = []
    for trainer in (one, other):
        trainer.module.train()
        losses.append(trainer.update(1, trainer.batches()).logged())
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    assert other.task.model.save(tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("cuda", "processes", "why"),
    [(False, 2, "PyTorch has it on CUDA alone"), (True, 1, "one GPU trains alone")],
)
def test_shared_statistics_are_left_out_with_a_reason(cuda, processes, why, tmp_path, tf32):
    config = runs.config(tmp_path / "run", sync_batch_norm=True)
    task = Trainer(config).task
    (note,) = speed.prepare_for(task, config, cuda=cuda, processes=processes)
    assert note == f"sync_batch_norm: left out, since {why}."
    assert not any(isinstance(part, nn.SyncBatchNorm) for part in task.module.modules())


def test_shared_statistics_keep_names_and_values(tmp_path, tf32):
    config = runs.config(tmp_path / "run", sync_batch_norm=True)
    task = Trainer(config).task
    before = {key: value.clone() for key, value in task.learned.state_dict().items()}
    assert speed.prepare_for(task, config, cuda=True, processes=2) == []
    norms = [part for part in task.module.modules() if isinstance(part, nn.SyncBatchNorm)]
    assert norms
    assert not any(type(part) is nn.BatchNorm2d for part in task.learned.modules())
    after = task.learned.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(after[key], value) for key, value in before.items())


class Tiny(nn.Module):
    """One layer, in the place of a task's network."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(3, 2, 1)
        self.asked = 0

    def forward(self, image):
        return self.layer(image)


class TinyTask:
    """What `compile_networks` sees of a task."""

    def __init__(self):
        self.network = Tiny()

    def compilable(self):
        return [(self.network, lambda network, batch: network(batch.image).mean().backward())]


@pytest.mark.slow
def test_a_network_that_cannot_be_compiled_runs_as_it_is(tmp_path):
    def broken(*_):
        msg = "no compiler here\nand more"
        raise RuntimeError(msg)

    task, cpu = TinyTask(), torch.device("cpu")
    (note,) = speed.compile_networks(task, runs.config(tmp_path), cpu, broken)
    assert note.startswith("compile: `Tiny` runs without it: ")
    assert "no compiler here" in note
    assert "\n" not in note
    assert task.network(torch.zeros(1, 3, 4, 4)).shape == (1, 2, 4, 4)
    assert task.network.layer.weight.grad is None


def test_a_run_without_a_network_to_compile_says_so(tmp_path):
    task = TinyTask()
    task.compilable = tuple
    (note,) = speed.compile_networks(task, runs.config(tmp_path), torch.device("cpu"))
    assert note == "compile: left out, since no network of this run is compiled."


@pytest.mark.slow
def test_a_compiled_network_computes_what_it_did_and_keeps_its_names(tmp_path):
    task, cpu = TinyTask(), torch.device("cpu")
    names, image = list(task.network.state_dict()), torch.rand(1, 3, 4, 4)
    before, state = task.network(image), torch.get_rng_state()
    graphs = []

    def backend(graph, _):
        graphs.append(graph)
        return graph.forward

    assert speed.compile_networks(task, runs.config(tmp_path), cpu, backend) == []
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.allclose(task.network(image), before)
    assert graphs
    assert list(task.network.state_dict()) == names


def test_a_detector_run_compiles_its_segmenter_and_can_try_it(tmp_path):
    one = Trainer(runs.config(tmp_path / "run"))
    ((network, trial),) = one.task.compilable()
    assert network is one.task.model.segmenter
    image = torch.rand(2, 3, 32, 48)
    label = torch.zeros(2, 32, 48, dtype=torch.uint8)
    trial(network, Batch(image, label, ("a", "b")))
    assert any(p.grad is not None for p in one.task.model.segmenter.parameters())


@pytest.mark.parametrize("method", ["adamw", "adam", "sgd"])
def test_fused_steps_are_the_ordinary_ones(method):
    steps = []
    for fused in (False, True):
        weight = nn.Parameter(torch.linspace(-1, 1, 12).reshape(3, 4))
        optimiser = build_optimiser(method, [{"params": [weight], "lr": 0.1}], fused=fused)
        for _ in range(3):
            weight.grad = weight.detach().sin()
            optimiser.step()
        steps.append(weight.detach())
    assert torch.allclose(*steps, atol=1e-6)
