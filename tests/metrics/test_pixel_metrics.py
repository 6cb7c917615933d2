"""Pixel metrics against numpy's own quantiles and histograms, and under any split of frames."""

import numpy as np
import pytest

from roadanomaly.errors import DataError
from roadanomaly.metrics import PixelExact, PixelOfficial
from roadanomaly.metrics.order import order
from roadanomaly.metrics.pixel import frame_curve

SHAPES = {
    "uniform": lambda rng, n: rng.random(n),
    "signed": lambda rng, n: rng.normal(size=n),
    "heavy tail": lambda rng, n: rng.normal(size=n) ** 9,
    "near zero": lambda rng, n: rng.random(n) ** 30,
    "few values": lambda rng, n: rng.integers(-3, 40, n) / 8,
    "one value": lambda rng, n: np.full(n, -2.5),
    "infinite": lambda rng, n: np.where(rng.random(n) < 0.1, np.inf, rng.random(n)),
    "outliers": lambda rng, n: np.where(rng.random(n) < 1e-3, 3e4, rng.random(n)),
}
TYPES = [np.float16, np.float32, np.float64]


def make(shape, dtype, n, seed=0):
    with np.errstate(over="ignore"):
        return SHAPES[shape](np.random.default_rng(seed), n).astype(dtype)


def make_frame(shape, dtype, seed=0, size=(90, 110)):
    rng = np.random.default_rng(seed)
    score = make(shape, dtype, size[0] * size[1], seed).reshape(size)
    return score, rng.choice(np.array([0, 1, 255], np.uint8), size, p=[0.7, 0.1, 0.2])


@pytest.mark.parametrize("n", [1, 2, 50, 20_000])
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_order_is_that_of_a_full_sort(shape, dtype, n):
    values = make(shape, dtype, n)
    ascending = np.sort(values.astype(np.float64))
    ordered = order(values)
    ranks = np.linspace(0, n - 1, 300).astype(np.int64)
    assert ordered.at(ranks).dtype == dtype
    assert np.array_equal(ordered.at(ranks), ascending[ranks])
    assert ordered.ends() == (ascending[0], ascending[-1])
    near = np.nextafter(ascending[ranks], np.inf)
    edges = np.concatenate([[-np.inf, -1e300], ascending[ranks], near, [0.3, 1e300, np.inf]])
    assert np.array_equal(ordered.below(edges), np.searchsorted(ascending, edges))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_bins_equal_numpy_quantile_and_histogram(shape, dtype):
    score, label = make_frame(shape, dtype)
    positive, negative = score[label == 1], score[label == 0]
    counted = score[label < 255]
    margin = max(0.01 * float(counted.max() - counted.min()), 0.01)
    ends = [float(counted.min()) - margin, float(counted.max()) + margin]
    quantiles = [
        np.quantile(values, np.linspace(0, 1, min(384, values.size)))
        for values in (positive, negative)
    ]
    edges = np.unique(np.concatenate([ends, *quantiles]))
    curve = frame_curve(score, label)
    assert np.array_equal(curve.thresholds, edges[:-1][::-1])
    assert np.array_equal(curve.tp, np.histogram(positive, edges)[0][::-1])
    assert np.array_equal(curve.fp, np.histogram(negative, edges)[0][::-1])
    assert curve.thresholds.size <= 769


@pytest.mark.parametrize("shape", SHAPES)
def test_halves_are_counted_at_each_edge_as_in_double_precision(shape):
    score, label = make_frame(shape, np.float16)
    curve = frame_curve(score, label)
    wide = score.astype(np.float64)
    for counts, id_ in ((curve.tp, 1), (curve.fp, 0)):
        at_or_above = [(wide[label == id_] >= edge).sum() for edge in curve.thresholds]
        assert np.array_equal(counts.cumsum(), at_or_above)


@pytest.mark.parametrize("metric", [PixelOfficial, PixelExact])
def test_any_split_over_processes_gives_the_same_bits(metric):
    frames = [make_frame("few values", np.float16, seed) for seed in range(7)]
    whole = metric()
    for number, frame in enumerate(frames):
        whole.update(f"frame{number}", *frame)
    parts = [metric() for _ in range(3)]
    for number in (5, 2, 6, 0, 4, 1, 3):
        parts[number % 3].update(f"frame{number}", *frames[number])
    parts[2].merge(parts[0])
    parts[2].merge(parts[1])
    one, other = whole.compute(), parts[2].compute()
    assert (one.ap, one.auroc, one.fpr95, one.best_f1) == (
        other.ap,
        other.auroc,
        other.fpr95,
        other.best_f1,
    )
    assert np.array_equal(one.thresholds, other.thresholds)


def test_the_first_point_stays_although_its_threshold_is_tied():
    """Two frames of one pixel each at the top: the benchmark keeps the first of them apart."""
    top = np.array([[1.0, 0.0]], np.float32)
    metric = PixelOfficial()
    metric.update(0, top, np.array([[1, 0]], np.uint8))
    metric.update(1, top, np.array([[0, 0]], np.uint8))
    result = metric.compute()
    assert result.thresholds[:3].tolist() == [2.0, 1.0, 1.0]
    assert result.precision[:3].tolist() == [1.0, 0.0, 0.5]
    assert result.ap == 0.5


@pytest.mark.parametrize("metric", [PixelOfficial, PixelExact])
def test_a_void_frame_adds_nothing(metric):
    frame = make_frame("signed", np.float32)
    with_void, without = metric(), metric()
    with_void.update(0, frame[0], np.full_like(frame[1], 255))
    assert np.isnan(with_void.compute().ap)
    for each in (with_void, without):
        each.update(1, *frame)
    assert with_void.compute().ap == without.compute().ap


@pytest.mark.parametrize("metric", [PixelOfficial, PixelExact])
@pytest.mark.parametrize("value", [0.0, np.inf, -np.inf, 1e30])
@pytest.mark.parametrize("present", [[0], [1], [0, 1]])
def test_degenerate_frames_do_not_crash(metric, value, present):
    label = np.resize(np.array([*present, 255], np.uint8), (6, 8))
    each = metric()
    each.update(0, np.full((6, 8), value, np.float32), label)
    result = each.compute()
    assert np.isnan(result.auroc) == (len(present) == 1)
    assert (result.positives, result.negatives) == ((label == 1).sum(), (label == 0).sum())


def test_best_f1_is_the_largest_over_all_thresholds():
    score, label = make_frame("few values", np.float32)
    metric = PixelExact()
    metric.update(0, score, label)
    result = metric.compute()
    truth = label == 1
    f1 = {}
    for threshold in np.unique(score):
        called = (score >= threshold) & (label < 255)
        f1[threshold] = 2 * (called & truth).sum() / (called.sum() + truth.sum())
    assert result.best_f1 == pytest.approx(max(f1.values()), abs=1e-12)
    assert f1[result.best_f1_threshold] == pytest.approx(result.best_f1, abs=1e-12)


def test_a_frame_counts_once():
    metric = PixelOfficial()
    frame = make_frame("uniform", np.float32)
    metric.update("a", *frame)
    with pytest.raises(DataError, match="'a' was counted twice"):
        metric.update("a", *frame)
    with pytest.raises(DataError, match="'a' was counted twice"):
        metric.merge(metric)


def test_the_official_state_does_not_grow_with_the_frame():
    small, large = (
        frame_curve(*make_frame("signed", np.float32, size=size)) for size in ((60, 80), (480, 640))
    )
    assert small.thresholds.size <= large.thresholds.size <= 769
