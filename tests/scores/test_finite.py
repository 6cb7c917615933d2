"""Scores that are no numbers are refused by everything that scores."""

from __future__ import annotations

import numpy as np
import pytest

from roadanomaly.errors import DataError, OptionError
from roadanomaly.runtimes.base import Runtime, Scores
from roadanomaly.scores.finite import require_finite


@pytest.mark.parametrize(
    ("values", "nan", "infinite"),
    [((np.nan, 1, 2, 3), 1, 0), ((np.inf, 1, 2, -np.inf), 0, 2), ((np.nan, np.inf, 0, 0), 1, 1)],
)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_how_many_of_which_frame(values, nan, infinite, dtype):
    score = np.array(values, dtype).reshape(2, 2)
    said = rf"^street\.png: {nan} of 4 scores are NaN and {infinite} infinite"
    with pytest.raises(DataError, match=said):
        require_finite(score, "street.png")


@pytest.mark.parametrize("values", [[[-3e38, 3e38]], np.empty((0, 4))])
def test_large_and_empty_maps_pass_as_they_are(values):
    score = np.array(values, np.float32)
    before = score.copy()
    require_finite(score, "x")
    np.testing.assert_array_equal(score, before)


class Diverged(Runtime):
    name, precisions = "torch", ("f32",)

    def run(self, image):
        score = np.zeros(image.shape[:2], np.float32)
        score[0, 0] = np.nan
        return Scores(np.zeros(score.shape, np.uint8), score, score)


def test_every_runtime_refuses_them():
    runtime = Diverged((4, 6), "f32")
    with pytest.raises(DataError, match="torch f32: 1 of 24 scores are NaN"):
        runtime(np.zeros((4, 6, 3), np.uint8))
    with pytest.raises(OptionError):
        runtime(np.zeros((4, 5, 3), np.uint8))
