"""NFlowJS against scipy, closed forms and limits."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.spatial.distance import jensenshannon
from scipy.special import softmax
from scipy.stats import entropy

import roadanomaly
from roadanomaly.detectors.hybrid.nflowjs import NFlowJS, jsd_to_uniform, kl_from_uniform
from roadanomaly.errors import OptionError
from roadanomaly.segmenters.closed_set import labels_at
from roadanomaly.types import NEGATIVE
from tests.contracts import toy


def test_divergences_equal_scipys():
    logits = 3 * torch.randn(2, 7, 3, 4, dtype=torch.float64)
    p = softmax(logits.numpy(), 1)
    u = np.full_like(p, 1 / 7)
    np.testing.assert_allclose(jsd_to_uniform(logits), jensenshannon(p, u, axis=1) ** 2)
    np.testing.assert_allclose(kl_from_uniform(logits), entropy(u, p, axis=1))


def test_limits():
    """0 where all classes are alike; of a sure prediction, the closed form; finite everywhere."""
    classes = 19
    assert jsd_to_uniform(torch.full((1, classes, 1, 1), 3.0)).item() == pytest.approx(0, abs=1e-7)
    sure = torch.full((1, classes, 1, 1), -1e4)
    sure[:, 4] = 1e4
    sure.requires_grad_()
    m = (1 + 1 / classes) / 2
    expected = 0.5 * -math.log(m)
    expected += 0.5 * (math.log(1 / classes / m) / classes + (classes - 1) / classes * math.log(2))
    value = jsd_to_uniform(sure)
    assert value.item() == pytest.approx(expected, rel=1e-5)
    assert value.item() < math.log(2)
    (gradient,) = torch.autograd.grad(value.sum(), sure)
    assert torch.isfinite(gradient).all()


def attached(**options):
    detector, segmenter = NFlowJS(**options), toy.ToySegmenter()
    detector.attach(segmenter)
    batch = toy.planted(toy.inliers(2, 0), 0.25)
    return detector, segmenter(batch.image), batch


@pytest.mark.parametrize("divergence", ["jsd", "kl", "ce"])
def test_the_loss_is_the_mean_divergence_of_negatives(divergence):
    detector, segmentation, batch = attached(divergence=divergence, weight=0.7)
    p = softmax(segmentation.logits.detach().double().numpy(), 1)
    u = np.full_like(p, 1 / 3)
    negative = (labels_at(batch.label, segmentation) == NEGATIVE).numpy()
    values = {
        "jsd": jensenshannon(p, u, axis=1) ** 2,
        "kl": entropy(u, p, axis=1),
        "ce": -(u * np.log(p)).sum(1),
    }[divergence]
    found = detector.loss(segmentation, batch)["divergence"].item()
    assert found == pytest.approx(0.7 * values[negative].mean(), rel=1e-4)


def test_the_temperature_divides_the_logits():
    _, segmentation, batch = attached()
    logits = segmentation.image_logits().detach().double().numpy()
    for temperature in (0.5, 4.0):
        detector = NFlowJS(temperature=temperature)
        detector.ready = True
        p = softmax(logits / temperature, 1)
        expected = -(jensenshannon(p, np.full_like(p, 1 / 3), axis=1) ** 2)
        found = detector.score(segmentation, batch.image).detach()
        np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"divergence": "js"}, "did you mean `jsd`"),
        ({"temperature": 0}, "above 0"),
        ({"weight": -1}, "not be negative"),
    ],
)
def test_faults(options, words):
    with pytest.raises(OptionError, match=words):
        roadanomaly.DETECTORS.get("nflowjs")(**options)
