"""A fresh flow among two processes, of which one's first crops get no sample."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from roadanomaly.flows import FLOWS
from roadanomaly.negatives.flow import FlowSamples
from roadanomaly.training.config import TrainConfig
from roadanomaly.training.flow_config import FlowConfig
from roadanomaly.training.flow_start import is_started, start_flow
from roadanomaly.training.loop import STEP_MIX, Trainer
from roadanomaly.types import REPLACED, Batch
from tests.cli import test_flow
from tests.training import runs
from tests.training.pair import pair
from tests.training.test_joint import GLOW, JOINT

SHORT = {"steps": 2, "batch_size": 1, "accumulate": 1, "validate_every": 0, "seed": 1}
RARE = {**JOINT["negatives"], "probability": 0.5}
RUNS = {
    "joint": {**runs.SMALLEST, **JOINT, "negatives": RARE, **SHORT},
    "flow": {**test_flow.SMALLEST, **SHORT},
}
KINDS = {"joint": TrainConfig, "flow": FlowConfig}


def train(kind: str, out: str) -> None:
    """Train, and leave the flow that this process ends with."""
    values = {**RUNS[kind], "crop": tuple(RUNS[kind]["crop"]), "out": f"{out}/run"}
    trainer = Trainer(KINDS[kind](**values))
    trainer.run()
    state = trainer.task.learned_flow().state_dict()
    torch.save(state, f"{out}/{trainer.fabric.global_rank}.pt")


def test_the_start_is_that_of_the_inlier_images():
    """After it the first layer's output has mean 0 and deviation 1 over those images."""
    flow = FLOWS.build("glow", {"levels": 1, "steps": 1, "hidden": 4}).eval()
    image = torch.rand(2, 3, 17, 21)
    batch = Batch(torch.zeros_like(image), torch.zeros(2, 17, 21), ("a", "b"), image)
    assert not is_started(flow)
    start_flow(flow, batch)
    assert is_started(flow)
    assert not flow.training
    entering = flow.before(image[..., :16, :20])[0]
    squeezed = flow.levels[0].layers[0](entering)[0]
    out = flow.levels[0].layers[1](squeezed)[0]
    channels = out.movedim(1, 0).flatten(1)
    torch.testing.assert_close(channels.mean(1), torch.zeros(12), rtol=0, atol=0.05)
    torch.testing.assert_close(channels.std(1), torch.ones(12), rtol=0, atol=0.05)


def test_one_process_gets_a_sample_and_the_other_none():
    """What the next test rests on."""
    source = FlowSamples(flow=GLOW, side=(8, 16), probability=0.5)
    batch = Batch(torch.rand(1, 3, 32, 48), torch.zeros(1, 32, 48, dtype=torch.uint8), ("a",))
    seeds = [[SHORT["seed"], STEP_MIX, 1, 0, rank] for rank in (0, 1)]
    found = [source.mix(batch, np.random.default_rng(seed)).note(REPLACED) for seed in seeds]
    assert sum(one is None for one in found) == 1


@pytest.mark.slow
@pytest.mark.parametrize("kind", RUNS)
def test_the_flow_starts_alike_in_both(kind, tmp_path):
    ends = pair(train, kind, str(tmp_path))
    assert [code for code, _ in ends] == [0, 0], ends
    one, two = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1))
    assert all(torch.equal(one[key], two[key]) for key in one)
    assert all(value for key, value in one.items() if key.endswith("started"))
