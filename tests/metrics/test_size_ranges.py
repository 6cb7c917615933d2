"""Components of a range of sizes against the benchmark's own rule and by hand."""

import numpy as np
import pytest
from official_cases import CASES

from roadanomaly.errors import OptionError
from roadanomaly.metrics.component import SIZE_RULES, frame_objects
from roadanomaly.metrics.size_ranges import SizeRange, frame_objects_within


@pytest.mark.parametrize("track", ["anomaly", "obstacle"])
@pytest.mark.parametrize("case", ["c01_basic", "c07_small_components", "c16_many_to_one"])
def test_without_an_upper_limit_it_is_the_benchmarks_rule(case, track):
    rule = SIZE_RULES[track]
    ranges = SizeRange(rule.predicted), SizeRange(rule.truth)
    for score, label in CASES[case]():
        predicted = score > np.median(score[label == 1]) if (label == 1).any() else score > 0
        ours = frame_objects_within(predicted, label, *ranges)
        theirs = frame_objects(predicted, label, rule)
        for name in ("siou", "truth_size", "ppv", "predicted_size"):
            np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))


def squares(*sizes):
    mask = np.zeros((40, 120), bool)
    left = 2
    for size in sizes:
        mask[2 : 2 + size, left : left + size] = True
        left += size + 3
    return mask


def test_the_lower_end_counts_and_the_upper_does_not():
    mask = squares(3, 4, 5, 6)
    label = mask.astype(np.uint8)
    within = SizeRange(16, 36)
    found = frame_objects_within(mask, label, SizeRange(), within)
    assert sorted(found.truth_size) == [16, 25]
    assert sorted(found.siou) == [1.0, 1.0]
    assert sorted(found.predicted_size) == [16, 25]
    found = frame_objects_within(mask, label, within, SizeRange())
    assert sorted(found.siou) == [0.0, 0.0, 1.0, 1.0]


def test_a_prediction_on_an_object_out_of_range_is_no_false_alarm():
    label = squares(3, 10).astype(np.uint8)
    found = frame_objects_within(squares(3, 10), label, SizeRange(), SizeRange(0, 50))
    assert found.ppv.tolist() == [1.0]


def test_an_empty_range_is_refused():
    with pytest.raises(OptionError, match=r"\[5, 5\)"):
        SizeRange(5, 5)
