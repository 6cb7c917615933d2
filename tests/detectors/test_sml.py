"""Standardized max logits, against NumPy's mean and deviation of each class."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import roadanomaly
from roadanomaly.errors import DataError, OptionError
from roadanomaly.types import IGNORE, INLIER, NEGATIVE, VOID, Batch, Segmentation

CLASSES = 4


class Named:
    classes = tuple("abcd")


def detector(**options):
    made = roadanomaly.detector("sml", **options)
    made.attach(Named())
    return made


def drawn(count, seed=0):
    """Logits whose class 3 is never the largest, with one row of each label that is no inlier."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(3, 4, (count, CLASSES, 12, 15)).astype(np.float32)
    logits[:, 1] += 2
    logits[:, 3] = -50
    label = rng.integers(0, CLASSES, (count, 12, 15)).astype(np.uint8)
    for row, value in enumerate((IGNORE, NEGATIVE, VOID)):
        label[:, row] = value
        logits[:, :3, row] += 1000
    label[:, 3] = INLIER
    return logits, label


def seen(logits):
    found = torch.from_numpy(logits)
    return Segmentation(found, (12, 15), (12, 15))


def fitted(logits, label, **options):
    made = detector(**options)
    for one, marks in zip(logits, label, strict=True):
        batch = Batch(torch.zeros(1, 3, 12, 15), torch.from_numpy(marks)[None], ("x",))
        made.update(seen(one[None]), batch, "fit")
    made.finish("fit")
    return made


def expected(logits, label, least):
    """Mean and deviation of each class's largest logits, of all of them where there are few."""
    values, owner = logits.max(1)[label < VOID], logits.argmax(1)[label < VOID]
    own = [values[owner == k] for k in range(CLASSES)]
    own = [one if len(one) >= least else values for one in own]
    return np.array([one.mean() for one in own]), np.array([one.std() for one in own])


@pytest.mark.parametrize("least", [2, 250])
def test_the_score_is_the_largest_logit_in_deviations_of_its_class(least):
    logits, label = drawn(5)
    made = fitted(logits, label, min_pixels=least)
    mean, deviation = expected(logits, label, least)
    other, _ = drawn(1, seed=9)
    owner = other.argmax(1)
    wanted = -(other.max(1) - mean[owner]) / deviation[owner]
    found = made.score(seen(other), torch.zeros(1, 3, 12, 15))
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)


def test_a_class_that_was_never_predicted_takes_the_statistics_of_all():
    logits, label = drawn(5)
    made = fitted(logits, label)
    values = logits.max(1)[label < VOID]
    assert made.means[3].item() == pytest.approx(values.mean(), rel=1e-5)
    assert made.deviations[3].item() == pytest.approx(values.std(), rel=1e-5)


def test_without_inliers_it_says_so():
    logits, label = drawn(2)
    with pytest.raises(DataError, match="hold 0 inlier pixels"):
        fitted(logits, np.full_like(label, NEGATIVE))
    with pytest.raises(OptionError, match="at least 2"):
        detector(min_pixels=1)
