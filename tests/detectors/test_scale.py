"""One scale for all detectors: the rarity of a score among inliers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import norm

from roadanomaly.detectors.scale import RarityScale
from roadanomaly.errors import DataError


def fitted(scores):
    scale = RarityScale()
    scale.fit(torch.as_tensor(scores))
    return scale


def test_the_scale_of_normal_scores_is_that_of_the_normal_distribution():
    rng = np.random.default_rng(0)
    scale = fitted(3 + 2 * rng.normal(size=400_000))
    at = 3 + 2 * np.linspace(-1, 3, 30)
    expected = -np.log10(norm.sf((at - 3) / 2))
    found = scale(torch.from_numpy(at)).numpy()
    np.testing.assert_allclose(found, expected, atol=0.03, rtol=0.02)


def test_order_stays_also_beyond_all_inliers():
    scale = fitted(np.random.default_rng(1).gamma(0.5, size=50_000))
    scores = torch.linspace(-5, 60, 5000)
    assert (scale(scores).diff() > 0).all()


def test_two_detectors_of_other_units_get_the_same_scale():
    scores = torch.from_numpy(np.random.default_rng(2).normal(size=20_000))
    one, other = fitted(scores), fitted(1000 * scores - 7)
    at = torch.linspace(-4, 8, 100, dtype=torch.float64)
    torch.testing.assert_close(one(at), other(1000 * at - 7), atol=2e-3, rtol=1e-3)


def test_scores_that_are_all_alike_give_no_scale():
    with pytest.raises(DataError, match="the same score"):
        fitted(np.ones(100))
