"""Bootstrap draws against pooling the drawn frames one by one, and against closed forms."""

import numpy as np
import pytest
from scipy.stats import norm

from roadanomaly.errors import DataError, OptionError
from roadanomaly.metrics.bootstrap import (
    ComponentStatistic,
    PixelStatistic,
    bootstrap,
    bootstrap_difference,
)
from roadanomaly.metrics.component import (
    SIZE_RULES,
    FrameObjects,
    SizeRule,
    frame_objects,
    summarise_objects,
)
from roadanomaly.metrics.frames import numbers_of
from roadanomaly.metrics.pixel import frame_curve, pool_curves

NAMES = ("ap", "auroc", "fpr95", "best_f1")


def frames(count, gain=1.5, noise=0):
    found = {}
    for seed in range(count):
        rng = np.random.default_rng(seed)
        label = np.zeros((40, 50), np.uint8)
        top, left = rng.integers(0, 25, 2)
        label[top : top + 12, left : left + 12] = 1
        label[0] = 255
        level = gain + rng.normal()
        score = rng.normal(size=label.shape) + level * label
        score += noise * np.random.default_rng(seed + 1000).normal(size=label.shape)
        found[f"f{seed:02d}"] = (score.astype(np.float32), label)
    return found


def curves(given):
    return {name: frame_curve(*one) for name, one in given.items()}


def objects(given):
    rule = SizeRule(10, 10)
    return {name: frame_objects(s > 1, label, rule) for name, (s, label) in given.items()}


def test_all_frames_once_are_the_official_numbers():
    given = curves(frames(8))
    result = pool_curves([given[name] for name in sorted(given)])
    ours = PixelStatistic(given)(np.ones(8, int))
    assert ours == {name: getattr(result, name) for name in NAMES}


@pytest.mark.parametrize("seed", range(4))
def test_a_draw_equals_pooling_the_drawn_frames(seed):
    given = curves(frames(8))
    weights = np.random.default_rng(seed).multinomial(8, np.full(8, 1 / 8))
    drawn = [given[name] for name, w in zip(sorted(given), weights, strict=True) for _ in range(w)]
    result = pool_curves(drawn)
    ours = PixelStatistic(given)(weights)
    for name in NAMES:
        assert ours[name] == pytest.approx(getattr(result, name), abs=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_a_draw_of_components_equals_summarising_the_drawn_ones(seed):
    given = objects(frames(8))
    weights = np.random.default_rng(seed).multinomial(8, np.full(8, 1 / 8))
    drawn = [given[name] for name, w in zip(sorted(given), weights, strict=True) for _ in range(w)]
    result = summarise_objects(
        FrameObjects(
            *(
                np.concatenate([getattr(one, name) for one in drawn])
                for name in ("siou", "truth_size", "ppv", "predicted_size")
            )
        )
    )
    ours = ComponentStatistic(given)(weights)
    for name in ("siou", "ppv", "f1"):
        assert ours[name] == pytest.approx(getattr(result, name), abs=1e-12)


@pytest.mark.parametrize("anomaly", ["too small to count", "none"])
def test_without_a_true_object_components_are_the_official_numbers(anomaly):
    score = np.zeros((40, 50), np.float16)
    score[5:25, 5:45] = 1
    label = np.zeros((40, 50), np.uint8)
    label[30:32, 5:7] = anomaly != "none"
    given = {"a": (score, label)}
    rule = SIZE_RULES["anomaly"]
    made = {name: frame_objects(s > 0.5, truth, rule) for name, (s, truth) in given.items()}
    assert made["a"].siou.size == 0
    assert made["a"].ppv.size == 1
    parts = numbers_of(pool_curves([*curves(given).values()]), summarise_objects(made["a"]))
    expected = {name: parts[name] for name in ("siou", "ppv", "f1")}
    np.testing.assert_equal(ComponentStatistic(made, curves(given))(np.ones(1, int)), expected)
    if anomaly != "none":
        assert expected["f1"] == 0
        np.testing.assert_equal(ComponentStatistic(made)(np.ones(1, int)), expected)


def test_draws_without_an_anomaly_pixel_have_no_component_numbers():
    given = frames(3)
    given["f01"][1][:] = 0
    statistic = ComponentStatistic(objects(given), curves(given))
    assert np.isnan(list(statistic(np.array([0, 3, 0])).values())).all()
    assert np.isfinite(list(statistic(np.array([1, 2, 0])).values())).all()


def one_value(value):
    """Make the components of a frame whose sIoU has a known value."""
    none = np.empty(0)
    return FrameObjects(np.array([value]), np.array([50]), none, none)


def test_the_interval_of_a_mean_is_that_of_the_normal_law():
    rng = np.random.default_rng(0)
    values = rng.uniform(0, 1, 400)
    statistic = ComponentStatistic({i: one_value(v) for i, v in enumerate(values)})
    found = bootstrap(statistic, rng, resamples=4000)["siou"]
    spread = norm.ppf(0.975) * values.std() / 20
    assert found.value == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - spread, abs=0.002)
    assert found.high == pytest.approx(values.mean() + spread, abs=0.002)


def test_the_same_seed_gives_the_same_interval_and_the_value_lies_inside():
    statistic = PixelStatistic(curves(frames(10)))
    first, second = (bootstrap(statistic, np.random.default_rng(3), 200) for _ in range(2))
    assert first == second
    for one in first.values():
        assert one.low <= one.value <= one.high
        assert one.resamples == 200


def test_a_run_does_not_differ_from_itself():
    statistic = PixelStatistic(curves(frames(6)))
    found = bootstrap_difference(statistic, statistic, np.random.default_rng(0), 50)
    for one in found.values():
        assert (one.value, one.low, one.high, one.p) == (0, 0, 0, 1)


@pytest.mark.slow
def test_pairing_sees_a_difference_that_two_intervals_hide():
    worse, better = (
        PixelStatistic(curves(frames(12, noise=0.5))),
        PixelStatistic(curves(frames(12))),
    )
    apart = [bootstrap(one, np.random.default_rng(1), 300)["ap"] for one in (worse, better)]
    assert apart[0].high > apart[1].low
    paired = bootstrap_difference(worse, better, np.random.default_rng(1), 300)["ap"]
    assert paired.value == pytest.approx(apart[1].value - apart[0].value)
    assert paired.low > 0
    assert paired.p < 0.05


def test_draws_without_an_anomaly_are_left_out():
    given = frames(3)
    for name in ("f01", "f02"):
        given[name][1][:] = 0
    found = bootstrap(PixelStatistic(curves(given)), np.random.default_rng(0), 300)["ap"]
    assert 0 < found.resamples < 300
    assert np.isfinite([found.low, found.high]).all()


@pytest.mark.parametrize(
    ("act", "error", "words"),
    [
        (lambda one, rng: PixelStatistic({}), DataError, "no frame"),
        (lambda one, rng: ComponentStatistic({}), DataError, "no frame"),
        (lambda one, rng: bootstrap(one, rng, 0), OptionError, "`resamples` is 0"),
        (lambda one, rng: bootstrap(one, rng, 5, 95), OptionError, "`confidence` is 95"),
        (
            lambda one, rng: bootstrap_difference(one, PixelStatistic(curves(frames(3))), rng),
            DataError,
            "share 2 frames, but 1 belong",
        ),
    ],
)
def test_mistakes_have_their_message(act, error, words):
    statistic = PixelStatistic(curves(frames(2)))
    with pytest.raises(error, match=words):
        act(statistic, np.random.default_rng(0))
