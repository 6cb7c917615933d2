"""Every parameter that learns gets a gradient in every step, where nothing is labelled too.

Processes that train together wait for each other's gradient of every parameter: one that the loss
does not reach stops them all. A gradient of 0 is one.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from roadanomaly.detectors import DETECTORS
from roadanomaly.encoders import ENCODERS
from roadanomaly.model import Model
from roadanomaly.negatives import NEGATIVES
from roadanomaly.training.generator_config import GeneratorConfig
from roadanomaly.training.generator_task import GeneratorTask
from roadanomaly.training.run_folder import RunFolder
from roadanomaly.training.step import LEARNS, TrainingStep
from roadanomaly.types import IGNORE, VOID, Batch
from tests.contracts.built import ENCODER, build_detector, kind_of
from tests.contracts.cover import FIRST, chosen_pairs, role
from tests.contracts.test_detectors import images, labelled
from tests.contracts.tiny import CLASSES, fit_together, network
from tests.training import test_generator
from tests.training.test_joint import GLOW

NETWORKS = ("mmseg", "transformers mask2former", "transformers segformer")
FIT = [
    (on, name)
    for name in DETECTORS
    for on in NETWORKS
    if kind_of(name) in LEARNS and fit_together(on, name)
]
PAIRS = chosen_pairs(FIT, 1)
"""A detector's terms reach what they reach on any network whose answer is of the same kind."""


def batch(void: bool) -> Batch:
    """Return crops with classes and negatives, or with void and padding alone."""
    found = labelled(images(64, 96))
    if not void:
        return found
    label = torch.full_like(found.label, VOID)
    label[:, 32:] = IGNORE
    return replace(found, label=label)


def without_gradient(module: nn.Module, terms: dict[str, torch.Tensor]) -> list[str]:
    """Return the parameters that learn and that the terms do not reach."""
    assert all(torch.isfinite(one) for one in terms.values())
    sum(terms.values()).backward()
    learning = {key: one for key, one in module.named_parameters() if one.requires_grad}
    assert learning
    return [key for key, one in learning.items() if one.grad is None]


def step(on: str, detector: Any, source: Any = None) -> TrainingStep:
    model = Model(network(on), detector)
    settings = {"freeze_batch_norm": True, "supervise": "logits", "distill": 0.0}
    return TrainingStep(model.segmenter, model.detector, source, **settings).train()


def test_every_detector_and_every_network_is_here_in_each_role():
    chosen, fit = ({(on, role(on, name)) for on, name in pairs} for pairs in (PAIRS, FIT))
    assert chosen == fit
    assert {name for _, name in PAIRS} == {name for _, name in FIT}


@pytest.mark.parametrize("void", [pytest.param(False, marks=pytest.mark.slow), True])
@pytest.mark.parametrize(
    ("on", "name"),
    [pytest.param(*one, marks=[] if one[1] in FIRST else [pytest.mark.slow]) for one in PAIRS],
)
def test_a_step_of_a_detector_reaches_all_that_learns(on, name, void):
    module = step(on, build_detector(name, len(CLASSES)))
    assert without_gradient(module, module(batch(void))) == []


@pytest.mark.parametrize("void", [False, True])
@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_a_step_with_a_flow_reaches_the_flow(probability, void):
    spec = {"name": "flow", "flow": GLOW, "side": [8, 16], "probability": probability}
    module = step("transformers segformer", DETECTORS.build("nflowjs"), NEGATIVES.from_spec(spec))
    terms = module(batch(void), np.random.default_rng(0))
    assert without_gradient(module, terms) == []


@pytest.mark.parametrize("void", [False, True])
@pytest.mark.parametrize("mode", ["min", "max"])
def test_a_step_under_attack_reaches_all_that_learns(mode, void):
    spec = {"name": "laa", "mode": mode, "window": 32, "side": [8, 16]}
    source = NEGATIVES.from_spec(spec)
    module = step("mmseg", build_detector("obsnet", len(CLASSES)), source)
    source.attach(module.segmenter)
    terms = module(batch(void), np.random.default_rng(0))
    assert without_gradient(module, terms) == []


@pytest.mark.parametrize("void", [False, True])
@pytest.mark.parametrize("phase", [0, 1, 2])
def test_every_phase_of_dacup_reaches_all_that_learns(phase, void):
    detector = build_detector("dacup", len(CLASSES))
    detector.phases = (0.25, 0.5)
    detector.expect(4)
    detector.passes = phase
    module = step("transformers segformer", detector)
    assert without_gradient(module, module(batch(void))) == []


@pytest.mark.parametrize("window", [1, 3])
def test_every_density_of_embeddings_is_reached(window):
    options = {"dimensions": 4, "couplings": 2, "hidden": 8, "window": window, "per_frame": 90}
    for void in (False, True):
        module = step("transformers segformer", DETECTORS.build("embedding_density", options))
        assert without_gradient(module, module(batch(void))) == []


ADVERSE = {
    "hinge": {"generator": {"name": "pix2pixhd", "width": 4, "downs": 2, "blocks": 1}},
    "lsgan": {"adversarial": "lsgan", "spectral": False, "r1": 0.0},
    "plain": {"adversarial_weight": 0.0, "feature_matching": 0.0, "r1": 0.0},
}


@pytest.mark.slow
@pytest.mark.parametrize("void", [False, True])
@pytest.mark.parametrize("kind", ADVERSE)
def test_a_step_of_a_generator_reaches_both_sides(kind, void, tmp_path):
    values = {**test_generator.SMALLEST, "reader": test_generator.ESPNET, **ADVERSE[kind]}
    task = GeneratorTask(GeneratorConfig(**values), RunFolder(Path(tmp_path) / "run"))
    module = task.module.train()
    found = batch(void)
    assert without_gradient(module, module(found)) == []
    module.zero_grad(set_to_none=True)
    assert without_gradient(module, module(found)) == []  # a pass without the penalty


READ_IN_PART = {
    "timm": {**ENCODER, "stages": [0]},
    "segmenter": {
        "name": "segmenter",
        "segmenter": {"name": "espnetv2", "scale": 0.5, "classes": CLASSES},
        "features": ["decoder8"],
    },
}


@pytest.mark.parametrize("name", READ_IN_PART)
def test_what_an_encoder_s_maps_never_read_does_not_learn(name):
    """The stages behind the last that is asked for: they would get no gradient."""
    encoder = ENCODERS.from_spec(READ_IN_PART[name])
    encoder.learn()
    learning = {key for key, one in encoder.named_parameters() if one.requires_grad}
    assert 0 < len(learning) < len(list(encoder.parameters()))
    sum(one.mean() for one in encoder(torch.rand(2, 3, 64, 64))).backward()
    assert learning == {key for key, one in encoder.named_parameters() if one.grad is not None}
