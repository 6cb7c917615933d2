"""Thresholds that a strange video raises, against quantiles taken by hand."""

import numpy as np
import pytest

from roadanomaly.errors import OptionError
from roadanomaly.video.guard import RateGuard

RATES = (0.01, 0.03)


def noise(seed, shift=0.0):
    return np.random.default_rng(seed).normal(shift, 1, (100, 100)).astype(np.float32)


def own(score):
    return np.quantile(score, [0.99, 0.97])


def test_a_quiet_video_leaves_the_thresholds():
    guard = RateGuard(10)
    for frame in range(20):
        assert guard(noise(frame), frame / 10, (4.0, 3.0), RATES) == (4.0, 3.0)


def test_a_strange_video_keeps_the_stated_rate():
    guard = RateGuard(10)
    shares = []
    for frame in range(50):
        score = noise(frame, shift=3)
        high, low = guard(score, frame / 10, (2.3, 1.9), RATES)
        shares.append([(score > high).mean(), (score > low).mean()])
    np.testing.assert_allclose(np.mean(shares, 0), RATES, rtol=0.1)


def test_it_is_a_mean_over_the_past_and_forgets():
    guard = RateGuard(2)
    first = guard(noise(0, 5), 0.0, (0.0, 0.0), RATES)
    np.testing.assert_allclose(first, own(noise(0, 5)), rtol=1e-6)
    second = guard(noise(1, 7), 0.5, (0.0, 0.0), RATES)
    np.testing.assert_allclose(second, (own(noise(0, 5)) + own(noise(1, 7))) / 2, rtol=1e-6)
    for frame in range(200):
        last = guard(noise(frame, 1), 1 + frame / 10, (0.0, 0.0), RATES)
    np.testing.assert_allclose(last, own(noise(0, 1)), atol=0.1)


def test_other_rates_and_jumps_back_begin_anew():
    guard = RateGuard(10)
    guard(noise(0, 9), 5.0, (0.0, 0.0), RATES)
    again = guard(noise(1), 1.0, (0.0, 0.0), RATES)
    np.testing.assert_allclose(again, own(noise(1)), rtol=1e-6)
    other = guard(noise(2), 1.1, (0.0, 0.0), (0.1, 0.3))
    np.testing.assert_allclose(other, np.quantile(noise(2), [0.9, 0.7]), rtol=1e-6)


def test_it_can_be_turned_off():
    assert RateGuard(0)(noise(0, 9), 0.0, (1.0, 0.5), RATES) == (1.0, 0.5)
    with pytest.raises(OptionError, match="--guard_s"):
        RateGuard(-1)
