"""Maximized entropy: its loss against soft targets in NumPy, its gradient, its score."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import special, stats

import roadanomaly
from roadanomaly.errors import NotFitted, OptionError
from roadanomaly.types import IGNORE, INLIER, NEGATIVE, VOID, Batch, Segmentation

CLASSES, SIZE = 5, (6, 8)


def drawn(seed=0):
    rng = np.random.default_rng(seed)
    label = rng.integers(0, CLASSES, (2, *SIZE)).astype(np.uint8)
    label[1] = NEGATIVE
    for row, value in enumerate((IGNORE, VOID, INLIER)):
        label[0, row] = value
    return rng.normal(0, 3, (2, CLASSES, *SIZE)), label


def terms(logits, label, **options):
    found = Segmentation(logits, SIZE, SIZE)
    batch = Batch(torch.zeros(2, 3, *SIZE), torch.from_numpy(label), ("a", "b"))
    return roadanomaly.detector("max_entropy", **options).loss(found, batch)


def soft_cross_entropy(logits, label, weight):
    """Soft targets written out, and their cross-entropy over all pixels that have one."""
    target = np.zeros_like(logits)
    for image, row, column in np.ndindex(label.shape):
        value = label[image, row, column]
        if value < CLASSES:
            target[image, value, row, column] = 1 - weight
        elif value == NEGATIVE:
            target[image, :, row, column] = weight / CLASSES
    labelled = np.count_nonzero((label < CLASSES) | (label == NEGATIVE))
    return -(target * special.log_softmax(logits, 1)).sum() / labelled


@pytest.mark.parametrize("weight", [0.0, 0.5, 0.9, 1.0])
def test_the_loss_is_cross_entropy_to_soft_targets(weight):
    logits, label = drawn()
    found = sum(terms(torch.from_numpy(logits), label, weight=weight).values())
    assert found.item() == pytest.approx(soft_cross_entropy(logits, label, weight), rel=1e-6)


def test_its_gradient_is_that_of_finite_differences():
    logits, label = drawn()
    entering = torch.from_numpy(logits).requires_grad_()
    sum(terms(entering, label).values()).backward()
    places = np.random.default_rng(1).integers(0, logits.size, 40)
    for place in places:
        step = np.zeros(logits.size)
        step[place] = 1e-5
        step = step.reshape(logits.shape)
        above, below = (soft_cross_entropy(logits + s, label, 0.9) for s in (step, -step))
        assert entering.grad.flatten()[place].item() == pytest.approx(
            (above - below) / 2e-5, abs=1e-8
        )


def test_pixels_without_a_target_have_no_gradient():
    logits, label = drawn()
    entering = torch.from_numpy(logits).requires_grad_()
    sum(terms(entering, label).values()).backward()
    assert not entering.grad[0, :, :3].any()
    assert entering.grad[1].any()


def test_the_score_is_the_share_of_the_greatest_entropy():
    logits, _ = drawn()
    detector = roadanomaly.detector("max_entropy")
    found = Segmentation(torch.from_numpy(logits), SIZE, SIZE)
    with pytest.raises(NotFitted, match="roadanomaly train"):
        detector.score(found, torch.zeros(2, 3, *SIZE))
    detector.ready = True
    expected = stats.entropy(special.softmax(logits, 1), axis=1) / np.log(CLASSES)
    score = detector.score(found, torch.zeros(2, 3, *SIZE))
    np.testing.assert_allclose(score, expected, atol=1e-5)
    flat = Segmentation(torch.zeros(1, CLASSES, *SIZE), SIZE, SIZE)
    np.testing.assert_allclose(detector.score(flat, torch.zeros(1, 3, *SIZE)), 1, rtol=1e-6)


def test_a_weight_beyond_one_is_refused():
    with pytest.raises(OptionError, match=r"0\.\.1, not 1\.5"):
        roadanomaly.detector("max_entropy", weight=1.5)
