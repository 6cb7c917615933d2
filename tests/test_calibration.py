"""Thresholds and p-values, against NumPy's quantiles and the definition of a p-value."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import stats

from roadanomaly.calibration import Calibration, calibrate
from roadanomaly.errors import DataError, OptionError
from roadanomaly.reservoir import Reservoir, evenly


def draw(count=200_000, seed=0):
    return np.random.default_rng(seed).gumbel(3, 2, count).astype(np.float32)


def made(scores, rate=0.01, **options):
    return calibrate([scores], rate, "made up", **{"per_frame": 10**7, **options})


@pytest.mark.parametrize("rate", [0.5, 0.1, 0.05, 0.01, 1e-3, 1e-4])
def test_the_threshold_is_numpy_s_quantile(rate):
    scores = draw()
    found = made(scores, rate)
    share = (scores > found.threshold).mean()
    assert share == pytest.approx(rate, rel=0.05)
    low, high = np.quantile(scores, [1 - rate * 1.05, 1 - rate / 1.05])
    assert low <= found.threshold <= high


def test_p_values_of_inliers_are_uniform():
    found = made(draw())
    p = found.p_value(draw(seed=1))
    assert p.dtype == np.float32
    assert stats.kstest(p, "uniform").statistic < 0.03
    for rate in (0.9, 0.5, 0.3, 0.1, 0.01):
        assert (p <= rate).mean() == pytest.approx(rate, rel=0.05)
    assert (p <= 1e-3).mean() == pytest.approx(1e-3, rel=0.3)


def test_p_values_fall_as_scores_rise_and_stay_above_zero():
    found = made(draw(1000))
    p = found.p_value(np.array([[-1e9, 0.0], [5.0, 1e9]], np.float32))
    assert p.shape == (2, 2)
    assert p[0, 0] == 1
    assert p[1, 1] == pytest.approx(1e-3)
    assert (np.diff(found.p_value(np.linspace(-20, 60, 500))) <= 0).all()


@pytest.mark.parametrize("rate", [0.2, 0.01, 0.001])
def test_the_p_value_of_a_threshold_is_its_rate(rate):
    found = made(draw()).at(rate)
    assert found.p_value(np.array([found.threshold]))[0] == pytest.approx(rate, rel=1e-3)


def test_a_score_that_most_inliers_share_is_no_surprise():
    """Saturated scores: 70 % of inliers score exactly 0, so 0 has the p-value 1."""
    scores = np.concatenate([np.zeros(7000), np.random.default_rng(0).uniform(0.1, 1, 3000)])
    found = made(scores)
    p = found.p_value(np.array([0.0, 0.1, 0.55, 1.0]))
    assert p[0] == 1
    assert p[2] == pytest.approx(0.15, rel=0.05)
    assert (scores > found.threshold).mean() <= 0.0105


def test_pixels_are_drawn_frame_by_frame_and_by_seed():
    frames = [draw(1000, seed) for seed in range(5)]
    whole = calibrate(frames, 0.1, "x")
    assert whole.pixels == 5000
    some = [calibrate(frames, 0.1, "x", per_frame=100, seed=seed) for seed in (0, 0, 1)]
    assert [one.pixels for one in some] == [500, 500, 500]
    assert some[0] == some[1] != some[2]


def test_what_fits_into_the_total_is_calibrated_on_whole():
    frames = [draw(1000, seed) for seed in range(5)]
    pooled = np.concatenate(frames).astype(np.float64)
    found = calibrate(frames, 0.1, "x", total=5000)
    assert found.scores == tuple(np.quantile(pooled, 1 - np.asarray(found.rates)))
    assert found == calibrate(frames, 0.1, "x")
    assert calibrate(frames, 0.1, "x", total=4999).pixels == 4999


def test_beyond_the_total_quantiles_are_exact_within_sampling_error():
    """Frames differ, the last most of all; a share q has the deviation sqrt(q (1 - q) / total)."""
    frames = [draw(4000, seed) + (seed == 29) * 10 for seed in range(30)]
    pooled, total = np.concatenate(frames), 20_000
    found = calibrate(frames, 0.1, "x", total=total)
    assert found.pixels == total
    for rate in (0.5, 0.2, 0.1, 0.03, 0.01):
        share = (pooled > found.threshold_at(rate)).mean()
        assert abs(share - rate) < 4 * np.sqrt(rate * (1 - rate) / total)
    again = calibrate(frames, 0.1, "x", total=total)
    assert again == found != calibrate(frames, 0.1, "x", total=total, seed=1)


@pytest.mark.parametrize("sizes", [(10,) * 10, (3, 0, 90, 7), (100,)])
def test_a_reservoir_keeps_every_place_of_the_stream_alike(sizes):
    """100 numbers, 8 kept, 800 times: each is kept 64 times, give or take."""
    counts = np.zeros(100)
    parts = np.split(np.arange(100), np.cumsum(sizes)[:-1])
    for seed in range(800):
        kept = Reservoir(8, seed)
        for part in parts:
            kept.add(part)
        counts[kept.values().astype(int)] += 1
        assert len(set(kept.values())) == 8
    assert stats.chisquare(counts).pvalue > 1e-3


@pytest.mark.parametrize("most", [1, 7, 100])
def test_rows_that_are_thinned_evenly_are_no_more_than_asked_for(most):
    for count in range(300):
        kept = evenly(np.arange(count), most)
        assert len(kept) <= most
        assert count <= most or len(kept) > most // 2
        assert len(set(np.diff(kept))) <= 1
        assert not count or kept[0] == 0


def test_a_rate_beyond_the_data_is_refused_or_raised_to_what_they_tell():
    found = made(draw(1000))
    with pytest.raises(OptionError, match=r"cannot be told from 1000 inlier pixels; .*more frames"):
        found.threshold_at(1e-5)
    with pytest.raises(OptionError, match="cannot be told"):
        found.at(1.5)
    assert made(draw(1000), 1e-5).rate == pytest.approx(1e-3)


@pytest.mark.parametrize("rate", [0, 1, -0.1, 2])
def test_a_rate_is_a_share(rate):
    with pytest.raises(OptionError, match="between 0 and 1"):
        made(draw(10), rate)


@pytest.mark.parametrize("frames", [[], [np.empty(0, np.float32)]])
def test_no_pixel_is_an_error(frames):
    with pytest.raises(DataError, match="no inlier pixel to calibrate on in made up"):
        calibrate(frames, 0.01, "made up")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_scores_that_are_no_numbers_are_refused(value):
    scores = draw(100)
    scores[3] = value
    with pytest.raises(DataError, match="not finite"):
        made(scores)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_very_few_pixels(count):
    found = made(np.arange(count, dtype=np.float32), 0.5)
    assert np.isfinite(found.threshold)
    assert 0 < found.p_value(np.array([0.0]))[0] <= 1


def test_it_survives_json():
    found = made(draw(1000))
    again = Calibration.from_dict(json.loads(json.dumps(found.as_dict())))
    assert again == found
    assert again.at(0.1).threshold == np.float64(found.threshold_at(0.1))


@pytest.mark.parametrize("count", [50, 1000, 3001])
@pytest.mark.parametrize("rate", [0.3, 0.1, 0.05])
def test_above_the_conformal_threshold_no_p_value_exceeds_the_rate(count, rate):
    """By the definition: p(s) = (1 + #{s_i >= s}) / (n + 1), counted by hand."""
    scores = draw(count)
    found = made(scores, rate)
    threshold = found.conformal_threshold(rate)

    def p(score):
        return (1 + (scores >= score).sum()) / (count + 1)

    above = scores[scores > threshold]
    assert p(np.nextafter(np.float64(threshold), np.inf)) <= rate
    assert all(p(score) <= rate for score in above)
    assert p(threshold) > 0.9 * rate - 2 / count
    assert found.at(way="conformal").threshold == threshold


def test_the_conformal_rate_holds_on_new_pixels_however_few_calibrated():
    """The promise of split conformal prediction: a mean over calibrations, not each of them."""
    rates = []
    for seed in range(400):
        found = made(draw(60, seed), 0.1)
        fresh = draw(500, 10_000 + seed)
        rates.append((fresh > found.conformal_threshold(0.1)).mean())
    assert 0.07 < np.mean(rates) <= 0.103


def test_a_conformal_rate_that_few_pixels_cannot_promise_is_refused():
    with pytest.raises(OptionError, match="cannot be told from 20"):
        made(draw(20), 0.2).conformal_threshold(0.01)


def test_the_way_of_the_threshold_is_kept():
    found = made(draw(1000)).with_f1(7.5, "some set")
    assert found.at(way="f1").threshold == 7.5
    again = Calibration.from_dict(json.loads(json.dumps(found.at(way="f1").as_dict())))
    assert again.threshold == 7.5
    with pytest.raises(OptionError, match="did you mean `conformal`"):
        found.at(way="conforml")
    with pytest.raises(OptionError, match="knows no threshold of the best F1"):
        made(draw(1000)).at(way="f1")


@pytest.mark.parametrize("score", [-9.0, -0.3, 0.0, 1.7])
def test_a_threshold_can_be_set_at_a_score(score):
    inliers = np.random.default_rng(0).normal(size=50_000)
    fitted = calibrate([inliers], 0.01, "made up").at_score(score)
    inside = np.clip(score, inliers.min(), inliers.max())
    assert fitted.threshold == pytest.approx(inside, abs=0.02)
    assert fitted.rate == pytest.approx((inliers > inside).mean(), rel=0.01, abs=1e-4)
    above = calibrate([inliers], 0.01, "made up").at_score(99.0)
    assert above.threshold == pytest.approx(above.scores[0])


@pytest.mark.parametrize("rate", [0.9, 0.05, 1e-3])
def test_the_rate_of_a_score_is_the_share_above_it(rate):
    scores = draw()
    found = made(scores)
    threshold = float(np.quantile(scores, 1 - rate))
    assert found.rate_at(threshold) == pytest.approx(rate, rel=0.05)
    assert found.threshold_at(found.rate_at(threshold)) == pytest.approx(threshold, rel=1e-9)


def test_a_named_threshold_is_kept_to_the_digit_and_saved():
    chosen = {"low": 12.0, "normal": 9.5, "high": 7.25}
    found = made(draw()).with_sensitivities(dict(reversed(chosen.items())))
    assert list(found.sensitivities) == ["low", "normal", "high"]
    again = Calibration.from_dict(json.loads(json.dumps(found.as_dict())))
    assert again == found
    for name, threshold in chosen.items():
        assert again.at_sensitivity(name).threshold == pytest.approx(threshold, rel=1e-12)


def test_named_thresholds_that_make_no_sense_are_refused():
    found = made(draw())
    with pytest.raises(OptionError, match="`low`"):
        found.with_sensitivities({"lwo": 9.0})
    with pytest.raises(OptionError, match="cannot be higher"):
        found.with_sensitivities({"low": 8.0, "high": 9.0})
    with pytest.raises(OptionError, match="lies beyond the scores"):
        found.with_sensitivities({"low": 1e6})
    with pytest.raises(OptionError, match="no named thresholds"):
        found.at_sensitivity("low")
    with pytest.raises(OptionError, match="it carries high"):
        found.with_sensitivities({"high": 9.0}).at_sensitivity("low")


@pytest.mark.parametrize("times", [1.0, 0.25])
def test_names_of_another_calibration_keep_their_share_of_the_pixels(times):
    """Scores that are twice as high and three higher have quantiles that are, too."""
    here, there = made(draw()), made(2 * draw() + 3)
    chosen = {name: here.threshold_at(rate) for name, rate in (("low", 0.004), ("high", 0.05))}
    found = there.with_sensitivities_of(here.with_sensitivities(chosen), times).sensitivities
    for name, rate in (("low", 0.004 * times), ("high", 0.05 * times)):
        assert found[name] == pytest.approx(2 * here.threshold_at(rate) + 3, rel=1e-9)


def test_names_too_rare_for_few_pixels_lie_as_high_as_these_can_tell():
    many = made(draw())
    chosen = {"low": many.threshold_at(1e-4), "high": many.threshold_at(0.1)}
    found = made(draw(100)).with_sensitivities_of(many.with_sensitivities(chosen))
    assert found.sensitivities["low"] == found.scores[0]
    assert found.at_sensitivity("high").rate == pytest.approx(0.1)
    assert not made(draw(100)).with_sensitivities_of(many).sensitivities


def test_a_rate_alone_ends_a_threshold_of_the_best_f1():
    found = made(draw(1000)).with_f1(7.5, "some set").at(way="f1")
    assert found.at(0.1).threshold == found.threshold_at(0.1)
    assert found.at(0.1, "f1").threshold == found.at().threshold == 7.5
    assert found.at(way="conformal").at(0.1).way == "conformal"
