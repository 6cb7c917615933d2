"""Places against scipy's."""

import numpy as np
import pytest
from scipy.stats import rankdata

from roadanomaly.metrics.ranks import ranks


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("better", ["higher", "lower"])
def test_places_are_scipys_and_nan_comes_last(seed, better):
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 5, 9).astype(float)
    values[rng.random(9) < 0.3] = np.nan
    costs = -values if better == "higher" else values
    expected = rankdata(np.where(np.isnan(costs), np.inf, costs), method="average")
    np.testing.assert_array_equal(ranks(values, better), expected)


def test_one_is_first_also_where_nothing_is_known():
    assert ranks([float("nan")], "lower").tolist() == [1]
