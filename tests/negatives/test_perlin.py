"""Perlin noise and the islands that are cut from it."""

from __future__ import annotations

import numpy as np
import pytest

from roadanomaly.errors import OptionError
from roadanomaly.negatives.perlin import Perlin, perlin_noise


def test_noise_is_0_at_the_corners_of_its_cells_and_smooth():
    noise = perlin_noise(400, 600, 4, 6, np.random.default_rng(0))
    assert noise.shape == (400, 600)
    assert abs(noise).max() <= np.sqrt(0.5)
    assert noise.std() > 0.1
    corners = noise[100::100, 100::100]
    assert abs(corners).max() < 0.02
    assert abs(np.diff(noise, axis=0)).max() < 0.03
    assert abs(np.diff(noise, axis=1)).max() < 0.03


def test_more_cells_make_smaller_islands():
    def changes(cells):
        noise = perlin_noise(128, 128, cells, cells, np.random.default_rng(1))
        return (np.diff(noise > 0, axis=1) != 0).sum()

    assert changes(16) > 3 * changes(2)


def test_something_is_seen_of_every_patch_and_hardly_ever_all():
    source, rng = Perlin(), np.random.default_rng(0)
    shares = [source.outline(64, rng).mean() for _ in range(50)]
    assert min(shares) > 0.02
    assert 0.1 < np.mean(shares) < 0.6


def test_a_threshold_out_of_range_is_refused():
    with pytest.raises(OptionError, match="threshold"):
        Perlin(threshold=0.9)
