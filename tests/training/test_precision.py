"""Mixed precision: what reaches the networks, what they compute in, what is saved."""

from __future__ import annotations

import pytest
import torch
from lightning_fabric.plugins.precision.amp import MixedPrecision
from safetensors.torch import load_file
from torch import nn

from roadanomaly.training.checkpoint import load_checkpoint
from roadanomaly.training.config import TrainConfig
from roadanomaly.training.flow_config import FlowConfig
from roadanomaly.training.generator_config import GeneratorConfig
from roadanomaly.training.held import Held
from roadanomaly.training.loop import Trainer
from tests.cli import test_flow
from tests.contracts import toy
from tests.training import runs, test_generator
from tests.training.test_joint import JOINT

ATTACK = {
    "detector": {"name": "obsnet", "width": 8},
    "negatives": {"name": "laa", "window": 32, "side": [8, 24]},
}
SHORT = {"steps": 2, "validate_every": 0, "checkpoint_every": 2, "precision": "bf16-mixed"}
PATHS = {
    "detector": (TrainConfig, runs.SMALLEST, "model/weights.safetensors"),
    "joint": (TrainConfig, {**runs.SMALLEST, **JOINT}, "model/weights.safetensors"),
    "attack": (TrainConfig, {**runs.SMALLEST, **ATTACK}, "model/weights.safetensors"),
    "generator": (GeneratorConfig, test_generator.SMALLEST, "generator/weights.safetensors"),
    "flow": (FlowConfig, test_flow.SMALLEST, "flow/weights.safetensors"),
}


def floats(state):
    return {key: value.dtype for key, value in state.items() if value.is_floating_point()}


@pytest.mark.slow
@pytest.mark.parametrize("path", PATHS)
def test_mixed_precision_trains_and_saves_single_precision(path, tmp_path):
    kind, smallest, weights = PATHS[path]
    changes = {**SHORT, "accumulate": 1, "out": str(tmp_path / "run")}
    values = {**smallest, **changes, "crop": tuple(smallest["crop"])}
    trainer = Trainer(kind(**values))
    images, computed = set(), set()
    trainer.task.module.register_forward_pre_hook(lambda _, given: images.add(given[0].image.dtype))
    for part in trainer.task.module.modules():
        if isinstance(part, nn.Conv2d):
            part.register_forward_hook(lambda _, given, out: computed.add(out.dtype))
    before = {key: value.clone() for key, value in trainer.task.learned.state_dict().items()}
    folder = trainer.run()
    assert images == {torch.float32}
    assert (torch.bfloat16 in computed) == (path != "flow")
    after = trainer.task.learned.state_dict()
    assert any(not torch.equal(after[key], value) for key, value in before.items())
    assert set(floats(after).values()) == {torch.float32}
    assert set(floats(load_file(folder / weights)).values()) == {torch.float32}
    last = load_checkpoint(folder / "checkpoints" / "last.pt")
    assert set(floats(last["networks"]).values()) == {torch.float32}


@pytest.mark.parametrize("precision", ["bf16-mixed", "16-mixed"])
def test_fabric_hands_a_held_batch_on_as_it_is(precision):
    batch = toy.inliers(2, 0)
    held = Held(batch)
    assert MixedPrecision(precision, "cpu").convert_input(held) is held
    assert held.batch is batch
    assert batch.image.dtype == torch.float32
