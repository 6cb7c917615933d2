"""Component metrics against a slow, literal reading of their definition."""

import numpy as np
import pytest
from scipy import ndimage

from roadanomaly.errors import OptionError, UnknownName
from roadanomaly.metrics import Components
from roadanomaly.metrics.component import SizeRule, anomalous, frame_objects


def literal(predicted, label, rule):
    """sIoU and PPV, one component after the other."""
    square = np.ones((3, 3))
    label = label.copy()
    truth, _ = ndimage.label(label == 1, square)
    called, _ = ndimage.label(predicted & (label != 255), square)
    for number in np.unique(called):
        if (called == number).sum() < rule.predicted:
            called[called == number] = 0
    for number in np.unique(truth):
        if (truth == number).sum() < rule.truth:
            label[truth == number] = 255
    truth, called = truth[label < 255], called[label < 255]
    siou, ppv = [], []
    for number in np.unique(truth[truth > 0]):
        k = truth == number
        hat = np.isin(called, called[k & (called > 0)])
        others = (truth > 0) & ~k
        siou.append((k & hat).sum() / ((k | hat).sum() - (hat & others).sum()))
    for number in np.unique(called[called > 0]):
        p = called == number
        ppv.append((p & (truth > 0)).sum() / p.sum())
    return siou, ppv


def blobs(rng, size, scale, share):
    field = ndimage.gaussian_filter(rng.random(size), scale)
    return field > np.quantile(field, 1 - share)


@pytest.mark.parametrize("rule", [SizeRule(50, 10), SizeRule(1, 1), SizeRule(20, 3000)])
@pytest.mark.parametrize("seed", range(8))
def test_objects_match_the_definition(seed, rule):
    rng = np.random.default_rng(seed)
    size = (70, 90)
    label = blobs(rng, size, 2.5, rng.choice([0.05, 0.3, 0.7])).astype(np.uint8)
    label[blobs(rng, size, 2, 0.15)] = 255
    predicted = blobs(rng, size, 1.5, rng.choice([0.05, 0.3, 0.6]))
    siou, ppv = literal(predicted, label, rule)
    ours = frame_objects(predicted, label, rule)
    assert np.allclose(np.sort(ours.siou), np.sort(siou), rtol=0, atol=1e-12)
    assert np.allclose(np.sort(ours.ppv), np.sort(ppv), rtol=0, atol=1e-12)


@pytest.mark.slow
def test_many_specks_take_the_sparse_table():
    size = (60, 700)
    label, predicted = (np.zeros(size, np.uint8) for _ in range(2))
    label[::3, ::3] = 1
    predicted[1::6, ::5] = predicted[::6, ::6] = 1
    rule = SizeRule(1, 1)
    siou, ppv = literal(predicted > 0, label, rule)
    ours = frame_objects(predicted > 0, label, rule)
    assert np.allclose(np.sort(ours.siou), np.sort(siou))
    assert np.allclose(np.sort(ours.ppv), np.sort(ppv))


@pytest.mark.parametrize(("track", "pixels"), [("anomaly", 500), ("obstacle", 50)])
def test_a_prediction_of_just_the_smallest_size_stays(track, pixels):
    score = np.zeros((40, 60), np.float32)
    label = np.zeros((40, 60), np.uint8)
    label[:20, :30] = 1
    counts = []
    for size in (pixels - 1, pixels):
        score[:] = 0
        score.ravel()[np.arange(size) % 25 + np.arange(size) // 25 * 60] = 1
        metric = Components(track, 0.5)
        metric.update(0, score, label)
        counts.append(metric.compute().objects.ppv.size)
    assert counts == [0, 1]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("threshold", [-np.inf, -70000, -1.5, -1e-9, -0.0, 0, 0.1, 1.5, 65520.0])
def test_masks_compare_as_stated(dtype, threshold):
    tiny = np.finfo(dtype).smallest_subnormal
    score = np.array(
        [[-np.inf, -2, -1.5, -1, -tiny, -0.0, 0, tiny, 0.1, 1.5, 2, 65504, np.inf]], dtype
    )
    wide = score.astype(np.float64)
    exact = anomalous(score, float(threshold), "exact")
    assert np.array_equal(exact, wide >= threshold)
    with np.errstate(over="ignore"):
        rounded = float(dtype(threshold))
    if rounded == np.inf:
        rounded = 65504.0
    assert np.array_equal(anomalous(score, float(threshold), "official"), wide > rounded)


@pytest.mark.parametrize("mode", ["official", "exact"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_nothing_exceeds_an_undefined_threshold(mode, dtype):
    assert not anomalous(np.ones((2, 2), dtype), float("nan"), mode).any()


def test_any_split_over_processes_gives_the_same_bits():
    rng = np.random.default_rng(3)
    frames = []
    for _ in range(6):
        label = blobs(rng, (60, 80), 3, 0.2).astype(np.uint8)
        frames.append((ndimage.gaussian_filter(rng.random((60, 80)), 2) + 0.02 * label, label))
    whole = Components("obstacle", 0.51)
    parts = [Components("obstacle", 0.51) for _ in range(2)]
    for number, frame in enumerate(frames):
        whole.update(number, *frame)
    for number in (4, 1, 3, 0, 5, 2):
        parts[number % 2].update(number, *frames[number])
    parts[1].merge(parts[0])
    one, other = whole.compute(), parts[1].compute()
    assert one.objects.siou.size > 3
    assert one.objects.ppv.size > 3
    assert (one.siou, one.ppv, one.f1) == (other.siou, other.ppv, other.f1)
    assert np.array_equal(one.objects.siou, other.objects.siou)


def test_no_component_is_nan_and_no_crash():
    metric = Components("anomaly", 0.5)
    assert np.isnan(metric.compute().f1)
    metric.update(0, np.ones((8, 8), np.float16), np.full((8, 8), 255, np.uint8))
    result = metric.compute()
    assert np.isnan([result.siou, result.ppv, result.f1]).all()
    assert result.tp.tolist() == result.fn.tolist() == result.fp.tolist() == [0] * 11


def test_wrong_words_and_mixed_thresholds_are_refused():
    with pytest.raises(UnknownName, match="did you mean `obstacle`"):
        Components("obstacles", 0.5)
    with pytest.raises(UnknownName, match="did you mean `exact`"):
        Components("obstacle", 0.5, "exakt")
    with pytest.raises(OptionError, match=r"threshold 0\.6 cannot join"):
        Components("obstacle", 0.5).merge(Components("obstacle", 0.6))
