"""Every detector on two networks on the pretended device: a score, and a step of its training."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from roadanomaly.detectors import DETECTORS, Detector
from roadanomaly.model import Model
from roadanomaly.prepared import Prepared
from roadanomaly.training.step import LEARNS, TrainingStep
from tests.contracts.built import detector_options, kind_of
from tests.contracts.cover import FIRST
from tests.contracts.tiny import CLASSES, network
from tests.cuda import pretended

pytestmark = pretended.tried

LOGITS = ("transformers segformer", "espnetv2")
MASKS = ("transformers eomt", "transformers mask2former")
OPTIONS: dict[str, dict[str, Any]] = {"mask2anomaly": {"refine": ["sky"]}}
SCORED_WITHOUT = {"dacup": {"inpaint": False}}
"""Options without which a score cannot be taken on a device: OpenCV inpaints on the CPU."""


def detector(name: str, **changes: Any) -> Detector:
    """Build a detector with small options; it counts as prepared."""
    options = {**detector_options(name, len(CLASSES)), **OPTIONS.get(name, {}), **changes}
    return ready(DETECTORS.build(name, options))


def ready(found: Detector) -> Detector:
    for part in found.modules():
        if isinstance(part, Prepared):
            part.ready = True
    return found


def networks_for(name: str) -> tuple[str, str]:
    return LOGITS if "logits" in DETECTORS.get(name).accepts else MASKS


SCORED, TRAINED = (
    [
        pytest.param(
            name,
            networks_for(name)[place],
            id=f"{name}-{networks_for(name)[place]}",
            marks=[] if name in FIRST else [pytest.mark.slow],
        )
        for name in DETECTORS
    ]
    for place in (0, 1)
)
"""Each detector is scored on one network, the quicker one, and trained on the other;
test_segmenters.py has all."""


def assert_scores(score: torch.Tensor) -> None:
    assert score.device == pretended.DEVICE
    assert score.dtype == torch.float32
    assert score.shape == (2, 64, 96)


def assert_step(step: TrainingStep) -> None:
    """Take the terms of a batch and their gradients, on the device."""
    terms = step.train()(pretended.batch(), np.random.default_rng(0))
    assert terms
    assert all(one.device == pretended.DEVICE and one.dim() == 0 for one in terms.values())
    sum(terms.values()).backward()


def step_of(model: Model, source: Any = None) -> TrainingStep:
    settings = {"freeze_batch_norm": True, "supervise": "logits", "distill": 0.0}
    return TrainingStep(model.segmenter, model.detector, source, **settings)


@pytest.mark.parametrize(("name", "on"), SCORED)
def test_a_score_is_computed_on_the_device(name, on):
    model = Model(network(on), detector(name, **SCORED_WITHOUT.get(name, {})))
    if name == "patchcore":
        model.detector.bank.add(torch.rand(8, model.detector.width))
    if name == "knn":
        width = model.segmenter.feature(model.detector.needs[0]).channels
        model.detector.bank.add(torch.rand(20, width))
    with pretended.device():
        score, segmentation = pretended.on_device(model).score(pretended.batch().image)
        assert_scores(score)
        assert segmentation.classes().device == pretended.DEVICE


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "on"), [pair for pair in TRAINED if kind_of(pair.values[0]) in LEARNS]
)
def test_a_training_step_is_taken_on_the_device(name, on):
    model = Model(network(on), detector(name))
    with pretended.device():
        assert_step(pretended.on_device(step_of(model)))
