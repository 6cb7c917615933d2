"""What a validation says where there is nothing to tell apart."""

from __future__ import annotations

import numpy as np
import pytest

from roadanomaly.data.streets import Streets
from roadanomaly.metrics.classes import ClassConfusion
from roadanomaly.metrics.pixel import PixelOfficial
from roadanomaly.negatives import NEGATIVES
from roadanomaly.training.validation import Examined, Validator

NUMBERS = ("ap", "fpr95", "auroc")


def found(truth):
    """Sum up a frame whose score rises from the left to the right."""
    frames = Streets("val", count=1, height=48, width=64)
    validator = Validator(frames, NEGATIVES.from_spec({"name": "shapes"}))
    examined = Examined(ClassConfusion(frames.classes), PixelOfficial())
    score = np.linspace(0, 1, 400, dtype=np.float32).reshape(1, 400).repeat(4, 0)
    examined.pixels.update("a", score, np.broadcast_to(np.uint8(truth), score.shape))
    return validator.sum_up([examined]).values


@pytest.mark.parametrize("truth", [0, 1, 255])
def test_nothing_is_known_where_no_negative_or_no_inlier_pixel_counts(truth):
    values = found(truth)
    assert all(np.isnan(values[key]) for key in NUMBERS), values


def test_where_both_count_the_numbers_are_theirs():
    """The right half is strange, and scores higher than all of the left."""
    values = found(np.repeat([0, 1], 200))
    assert [values[key] for key in NUMBERS] == pytest.approx([1, 0, 1], abs=1e-6)
