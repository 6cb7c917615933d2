"""Sources that work inside the step, on the pretended device: mixed in, learned from, sampled."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from roadanomaly.data.transforms import Degrade
from roadanomaly.detectors import DETECTORS
from roadanomaly.flows import FLOWS
from roadanomaly.model import Model
from roadanomaly.negatives import NEGATIVES, NegativeSource
from roadanomaly.negatives.whole import fill
from roadanomaly.training.step import TrainingStep
from roadanomaly.types import ASSUMED, NEGATIVE, REPLACED
from tests.contracts import toy
from tests.contracts.tiny import CLASSES
from tests.cuda import pretended
from tests.cuda.test_detectors import assert_step, step_of

pytestmark = pretended.tried

SMALL = {
    "denseflow": {
        "units": [2, 1],
        "modules": [1, 1],
        "width": 4,
        "depth": 1,
        "network_growth": 4,
        "save_memory": False,
    },
    "glow": {"levels": 2, "steps": 1, "hidden": 4, "mixture": 2, "dequantise": "variational"},
    "realnvp": {"levels": 1, "steps": 2, "hidden": 4},
}
"""Activations are kept: recomputed ones are ordinary tensors here, which PyTorch refuses."""

FLOW = {"name": "flow", "side": [8, 16]}
SOURCES = {
    **{name: {**FLOW, "flow": {"name": name, **options}} for name, options in SMALL.items()},
    "rare": {**FLOW, "probability": 0.0},
    "mixture": {
        "name": "mixture",
        "sources": [
            {"name": "shapes", "weight": 1e-6},
            {**FLOW, "flow": {"name": "glow", **SMALL["glow"]}, "weight": 1.0},
        ],
    },
}
ATTACK = {"name": "laa", "window": 32, "side": [8, 16], "count": [1, 3]}
ATTACKS = {
    "min": ATTACK,
    "max": {**ATTACK, "mode": "max", "shape": "square"},
    "mixture": {"name": "mixture", "sources": [ATTACK, {"name": "shapes", "weight": 1e-6}]},
}
"""Sources without parameters that ask the network."""

IN_STEP = {"flow", "laa", "mixture"}
"""Sources of the catalogue that may work inside the step."""


def step(name: str, detector: str) -> TrainingStep:
    source = NEGATIVES.from_spec(SOURCES[name])
    return step_of(Model(toy.ToySegmenter(CLASSES), DETECTORS.build(detector)), source)


def test_every_flow_and_every_source_of_the_step_is_here():
    assert set(SMALL) == set(FLOWS)
    assert not IN_STEP - set(NEGATIVES)
    for name in set(NEGATIVES) - {"mixture"}:
        assert (NEGATIVES.get(name).stage == "loader") == (name not in IN_STEP)
    used = {one["name"] for one in (*SOURCES.values(), *ATTACKS.values())}
    assert used == IN_STEP


@pytest.mark.slow
@pytest.mark.parametrize(
    "detector", ["nflowjs", pytest.param("densehybrid", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("name", SOURCES)
def test_a_step_is_taken_on_the_device(name, detector):
    """A fresh flow too: its normalisation starts in this step."""
    made = step(name, detector)
    made.degrade = Degrade(p=1.0)
    with pretended.device():
        moved = pretended.on_device(made)
        assert_step(moved)
        learning = [one for one in moved.source.parameters() if one.requires_grad]
        assert learning
        assert all(one.grad is not None for one in learning)


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_made_on_the_device(name):
    source = NEGATIVES.from_spec(ATTACKS[name])
    made = step_of(Model(toy.ToySegmenter(CLASSES), DETECTORS.build("obsnet")), source)
    source.attach(made.segmenter)
    with pretended.device():
        assert_step(pretended.on_device(made))


@pytest.mark.parametrize("name", SMALL)
def test_images_are_sampled_and_cost_bits_on_the_device(name):
    flow = FLOWS.build(name, SMALL[name]).eval()
    with pretended.device(), torch.no_grad():
        moved = pretended.on_device(flow)
        generator = torch.Generator().manual_seed(0)
        image = moved.sample(2, 16, 16, generator=generator)
        assert image.device == pretended.DEVICE
        bits = moved.bits_per_dim((255 * image).to(torch.uint8))
        assert bits.device == pretended.DEVICE


class Mirrored(NegativeSource):
    """Fills the first crop with its mirror image."""

    stage = "step"

    def mix(self, batch, rng):
        return fill(batch, {0: batch.image[0].flip(-1)})

    def record(self):
        return {"name": "mirrored"}


def test_a_source_of_ones_own_may_fill_crops():
    with pretended.device():
        batch = pretended.batch()
        batch = batch.noted({ASSUMED: batch.label})
        mixed = Mirrored().mix(batch, np.random.default_rng(0))
        assert mixed.note(REPLACED) is None
        for one in (mixed.image, mixed.label, mixed.note(ASSUMED)):
            assert one.device == pretended.DEVICE
        assert (mixed.label.as_subclass(torch.Tensor)[0] == NEGATIVE).all()
