"""Objects at a threshold against scenes drawn by hand and a slow, literal count."""

import math

import numpy as np
import pytest
from scipy import ndimage

from roadanomaly.errors import DataError, OptionError, UnknownName
from roadanomaly.metrics import Alarms
from roadanomaly.metrics.alarms import AlarmResult


def scene():
    """Return two objects, one found and one missed, two false components, a speck and a true hit.

    All sizes follow from the rectangles: 40×40 is 1600 pixels and counts, 20×20 is 400 and is no
    alarm, 9×9 is 81 and is no object.
    """
    label, score = np.zeros((300, 400), np.uint8), np.zeros((300, 400), np.float32)
    label[20:60, 20:60] = 1
    score[20:60, 20:50] = 1  # covers 1200 of 1600: sIoU 0.75
    label[20:60, 200:240] = 1
    score[50:90, 230:270] = 1  # 100 of 1600 pixels on the object: sIoU 100/3100, and a false alarm
    score[200:240, 20:60] = 2  # on nothing
    score[200:220, 200:220] = 2  # too small to be an alarm
    label[280:289, 300:309] = 1  # too small to be an object: its pixels are ignored
    return score, label


def test_a_scene_drawn_by_hand():
    alarms = Alarms(0.5)
    alarms.update("drawn", *scene())
    assert alarms.compute() == AlarmResult(frames=1, objects=2, found=1, false=2, clean=0)
    assert alarms.compute().recall == 0.5


def test_a_higher_threshold_finds_what_lies_above_it():
    alarms = Alarms(1.0)
    alarms.update("drawn", *scene())
    assert alarms.compute() == AlarmResult(frames=1, objects=2, found=0, false=1, clean=0)


def test_an_ordinary_frame_has_false_components_alone_and_a_frame_may_be_clean():
    score, label = scene()
    alarms = Alarms(0.5)
    alarms.update("a", score, np.zeros_like(label))
    alarms.update("b", np.zeros_like(score), np.zeros_like(label))
    found = alarms.compute()
    assert found == AlarmResult(frames=2, objects=0, found=0, false=3, clean=1)
    assert (found.false_a_frame, found.clean_share) == (1.5, 0.5)
    assert math.isnan(found.recall)


def test_ignored_pixels_raise_no_alarm():
    score, label = scene()
    label[200:240] = 255
    alarms = Alarms(0.5)
    alarms.update("drawn", score, label)
    assert alarms.compute().false == 1


def test_no_threshold_and_no_frame_raise_nothing():
    alarms = Alarms(float("nan"))
    assert math.isnan(alarms.compute().false_a_frame)
    alarms.update("drawn", *scene())
    assert alarms.compute() == AlarmResult(frames=1, objects=2, found=0, false=0, clean=1)


def literal(score, label, threshold):
    """Count one component after the other on an ordinary frame with some objects, none touching."""
    square = np.ones((3, 3))
    called, count = ndimage.label(score > threshold, square)
    false = 0
    for number in range(1, count + 1):
        one = called == number
        false += one.sum() >= 500 and (one & (label == 1)).sum() / one.sum() < 0.25
    return false


@pytest.mark.parametrize("seed", range(5))
def test_false_components_match_a_literal_count(seed):
    rng = np.random.default_rng(seed)
    score = ndimage.gaussian_filter(rng.normal(size=(240, 320)), 9).astype(np.float32)
    score /= score.std()
    label = np.zeros(score.shape, np.uint8)
    label[100:160, 100:180] = 1
    alarms = Alarms(0.7)
    alarms.update(seed, score, label)
    assert alarms.compute().false == literal(score, label, 0.7)


def test_parts_merge_to_the_whole():
    score, label = scene()
    whole, parts = Alarms(0.5), [Alarms(0.5), Alarms(0.5)]
    for number in range(4):
        shifted = np.roll(score, 30 * number, 0)
        whole.update(number, shifted, label)
        parts[number % 2].update(number, shifted, label)
    parts[0].merge(parts[1])
    assert parts[0].compute() == whole.compute()


def test_what_does_not_belong_together_is_refused():
    with pytest.raises(OptionError, match="cannot join"):
        Alarms(0.5).merge(Alarms(0.6))
    with pytest.raises(UnknownName, match="'anomaly'"):
        Alarms(0.5, "anomly")
    alarms = Alarms(0.5)
    alarms.update("a", *scene())
    with pytest.raises(DataError, match="twice"):
        alarms.update("a", *scene())


def test_halves_are_cut_as_the_float32_numbers_that_they_are():
    """0.9999 is no half: rounded to one it would be 1, above which nothing of this scene lies."""
    score, label = scene()
    score = np.minimum(score, 1)
    found = []
    for kind in (np.float16, np.float32):
        alarms = Alarms(0.9999)
        alarms.update("drawn", score.astype(kind), label)
        found.append(alarms.compute())
    assert found[0] == found[1]
    assert found[0].found == 1
