"""Objects cut out of the drawn streets: their pixels, their outlines, their kinds."""

from __future__ import annotations

import numpy as np
import pytest

from roadanomaly.errors import OptionError
from roadanomaly.negatives.street_objects import LEAST, StreetObjects
from roadanomaly.streets.anomalies import OUTLIER_KINDS, TEST_KINDS
from roadanomaly.types import NEGATIVE


@pytest.fixture(scope="module")
def source():
    return StreetObjects(streets=4)


@pytest.mark.slow
def test_an_object_shows_what_its_street_shows_there(source):
    for index in range(4):
        frame = source.streets[index]
        image, negative = frame.image.permute(1, 2, 0).numpy(), (frame.label == NEGATIVE).numpy()
        for cutout in source._cut(index):
            inside = cutout.alpha > 0
            assert inside.sum() >= LEAST
            height, width = inside.shape
            windows = (
                np.s_[top : top + height, left : left + width]
                for top in range(negative.shape[0] - height + 1)
                for left in np.flatnonzero(negative.any(0))
                if left + width <= negative.shape[1] and negative[top].any()
            )
            assert any(
                negative[window][inside].all() and (image[window] == cutout.colour)[inside].all()
                for window in windows
            )


def test_a_patch_has_the_side_that_was_asked_for(source):
    patch = source.draw(48, np.random.default_rng(0))
    assert max(patch.alpha.shape) == 48
    assert patch.alpha.max() > 0.99
    assert (patch.colour[patch.alpha == 0] == 0).all()


def test_the_parts_share_no_kind_of_object():
    held_out = StreetObjects(streets=1, part="held_out")
    assert held_out.streets.split == "test"
    assert not set(OUTLIER_KINDS) & set(TEST_KINDS)
    with pytest.raises(OptionError, match="`part` is 'half'"):
        StreetObjects(part="half")
