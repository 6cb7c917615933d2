"""Objects in a mask, against SciPy's labelling."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from roadanomaly.objects import find_components


def smooth(seed, shape=(60, 80)):
    noise = np.random.default_rng(seed).normal(size=shape)
    return ndimage.gaussian_filter(noise, 2).astype(np.float32)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("min_area", [1, 12])
def test_components_are_scipy_s(seed, min_area):
    score = smooth(seed)
    threshold = float(np.quantile(score, 0.8))
    labels, count = ndimage.label(score > threshold, np.ones((3, 3)))
    index = np.arange(1, count + 1)
    areas = ndimage.sum_labels(np.ones_like(score), labels, index)
    kept = index[areas >= min_area]
    mask, found = find_components(score, threshold, min_area)
    np.testing.assert_array_equal(mask, np.isin(labels, kept))
    boxes = ndimage.find_objects(labels)
    expected = {
        (box[1].start, box[0].start, box[1].stop - box[1].start, box[0].stop - box[0].start): (
            np.sum(labels == k),
            ndimage.mean(score, labels, k),
            ndimage.maximum(score, labels, k),
        )
        for k in kept
        for box in [boxes[k - 1]]
    }
    assert len(found) == len(expected) == len(kept) > 0
    for one in found:
        area, mean, highest = expected[one.box]
        assert one.area == area
        assert one.mean_score == pytest.approx(mean, rel=1e-5)
        assert one.max_score == pytest.approx(highest)
    means = [one.mean_score for one in found]
    assert means == sorted(means, reverse=True)


def test_pixels_that_touch_at_a_corner_are_one_object():
    score = np.eye(4, dtype=np.float32)
    mask, found = find_components(score, 0.5)
    assert mask.sum() == 4
    assert [one.as_dict() for one in found] == [
        {"box": [0, 0, 4, 4], "area": 4, "mean_score": 1.0, "max_score": 1.0}
    ]


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_nothing_and_everything(value):
    mask, found = find_components(np.full((5, 6), value, np.float32), 0.5)
    assert mask.dtype == bool
    assert mask.all() == (value > 0.5)
    assert [one.area for one in found] == ([30] if value else [])


def test_a_score_at_the_threshold_is_not_above_it():
    assert not find_components(np.full((3, 3), 0.5, np.float32), 0.5)[0].any()


def test_scores_without_a_number_belong_to_no_object():
    score = np.full((6, 6), -np.inf, np.float32)
    score[0], score[3:5, 3:5] = np.nan, 2
    mask, found = find_components(score, 0.0)
    assert mask.sum() == 4
    assert [(one.area, one.mean_score) for one in found] == [(4, 2.0)]


def test_refused_objects_leave_the_mask_too():
    score = np.zeros((10, 20), np.float32)
    score[1:4, 1:4], score[6:9, 10:15] = 1, 2
    seen = []

    def right_half(component, above):
        seen.append(int(above.sum()))
        return component.box[0] >= 10

    mask, found = find_components(score, 0.5, accept=right_half)
    assert [one.box for one in found] == [(10, 6, 5, 3)]
    assert mask.sum() == 15
    assert mask[6:9, 10:15].all()
    assert seen == [24, 24]
