"""Every segmenter on the pretended device, under a detector of each kind and answer."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from torch import nn

from roadanomaly.detectors import DETECTORS
from roadanomaly.detectors.head import Head
from roadanomaly.model import Model
from tests.contracts.tiny import NETWORKS, fit_together, network
from tests.cuda import pretended
from tests.cuda.test_detectors import assert_scores, assert_step, detector, step_of

pytestmark = pretended.tried

SIX = {
    "energy": ("posthoc", "logits"),
    "rba": ("posthoc", "masks"),
    "mahalanobis": ("fit", "evidence"),
    "embedding_density": ("train", "logits"),
    "jsrnet": ("train", "evidence"),
    "densehybrid": ("finetune", "logits"),
}
"""Detectors of every kind that read every answer."""

LEFT_OUT = {
    "onnx": "ONNX Runtime computes its answer, from arrays of the CPU",
    "torchscript": "its tensors lie in a file that is opened on the device",
}
PAIRS = [
    (on, name) for on in NETWORKS if on not in LEFT_OUT for name in SIX if fit_together(on, name)
]


@cache
def model(on: str, name: str) -> Model:
    return Model(network(on), detector(name))


def test_the_six_are_of_each_kind_and_answer():
    for name, (kind, answer) in SIX.items():
        found = DETECTORS.get(name)
        assert found.kind == kind
        assert answer in found.accepts
    assert {DETECTORS.get(name).kind for name in DETECTORS} == {kind for kind, _ in SIX.values()}
    assert {one for name in DETECTORS for one in DETECTORS.get(name).accepts} == {
        answer for _, answer in SIX.values()
    }


NETWORKS_THERE = [on for on in NETWORKS if on not in LEFT_OUT]


@pytest.mark.slow
@pytest.mark.parametrize("on", NETWORKS_THERE)
def test_scores_are_computed_on_the_device(on):
    """Of one pass, which gives all maps."""
    models = [model(on, name) for other, name in PAIRS if other == on]
    names = [*models[0].segmenter.features, *models[0].segmenter.on_request]
    with pretended.device(), torch.inference_mode():
        segmenter, *heads = pretended.on_device(
            nn.ModuleList([models[0].segmenter, *(one.detector for one in models)])
        )
        image = pretended.batch().image
        segmentation = segmenter(image, names)
        assert {one.device for one in segmentation.features.values()} == {pretended.DEVICE}
        for one in heads:
            assert_scores(Head(one).score(segmentation, image))
        if segmenter.classified:
            alone = segmenter.classify(segmentation.features[segmenter.classified])
            assert alone.device == pretended.DEVICE


STEPS = [pair for pair in PAIRS if pair[1] in ("densehybrid", "rba")]
"""With each the segmenter learns by its own loss and by the detector's; of detectors that learn
alone, each takes a step in test_detectors.py."""


def test_a_step_is_taken_of_every_network():
    assert {on for on, _ in STEPS} == set(NETWORKS_THERE)


@pytest.mark.slow
@pytest.mark.parametrize(("on", "name"), STEPS)
def test_a_training_step_is_taken_on_the_device(on, name):
    found = model(on, name)
    with pretended.device():
        assert_step(step_of(pretended.on_device(found)))
