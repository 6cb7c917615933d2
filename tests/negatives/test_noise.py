"""Smoothed random colour: what can be said of something random."""

from __future__ import annotations

import numpy as np
import pytest

from roadanomaly.errors import UserError
from roadanomaly.negatives.noise import Noise
from roadanomaly.types import NEGATIVE
from tests.negatives import tiny


def test_rectangles_are_upright_and_filled():
    mixed = Noise(kinds=["rectangle"], look={"side": (20, 40)}).mix(
        tiny.batch(4), np.random.default_rng(1)
    )
    for one in mixed.label == NEGATIVE:
        rows, columns = one.nonzero(as_tuple=True)
        height, width = (int(v.max() - v.min()) + 1 for v in (rows, columns))
        assert one.sum() == height * width


def test_smoothing_makes_neighbours_alike():
    def roughness(width):
        patch = Noise(kinds=["rectangle"], smooth=(width, width), grain=0).draw(
            64, np.random.default_rng(3)
        )
        return np.abs(np.diff(patch.colour, axis=1)).mean() / patch.colour.std()

    assert roughness(0.1) < 0.5 * roughness(0.02) < 0.5 * roughness(0.0)


def test_contrast_is_the_deviation():
    rng = np.random.default_rng(0)
    source = Noise(kinds=["rectangle"], contrast=(20, 20), grain=0)
    colours = [source.draw(80, rng).colour for _ in range(30)]
    inside = [c for c in colours if c.min() > 0 and c.max() < 255]
    assert inside
    for colour in inside:
        centred = colour - colour.mean((0, 1))
        assert centred.std() <= 20.01


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"kinds": ["blobb"]}, "did you mean `blob`"),
        ({"kinds": []}, "`kinds`"),
        ({"smooth": [0.5, 0.1]}, "`smooth`"),
        ({"grain": 300}, "`grain`"),
    ],
)
def test_faults(options, words):
    with pytest.raises(UserError, match=words):
        Noise(**options)
