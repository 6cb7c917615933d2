"""Closed and open mIoU against scikit-learn's confusion matrix, ROC curve and torch."""

import numpy as np
import pytest
import torch
from sklearn.metrics import confusion_matrix, jaccard_score, roc_curve

from roadanomaly.errors import DataError, OptionError
from roadanomaly.metrics.open_set import (
    OpenSet,
    combine_towns,
    halve,
    threshold_at_tpr,
)

CLASSES = ("road", "building", "sky", "train")
K = len(CLASSES)


def street(seed, shape=(23, 31), classes=K):
    rng = np.random.default_rng(seed)
    label = rng.integers(0, classes - 1, shape).astype(np.uint8)
    predicted = np.where(rng.random(shape) < 0.7, label, rng.integers(0, classes - 1, shape))
    label[rng.random(shape) < 0.1] = 254
    label[rng.random(shape) < 0.1] = 255
    score = (rng.normal(size=shape) + 1.5 * (label == 254)).astype(np.float32)
    return predicted.astype(np.uint8), score, label


def by_hand(frames, threshold):
    """Follow the authors' steps with scikit-learn: K + 2 classes, ignore zeroed."""
    true = np.concatenate([label.ravel() for _, _, label in frames]).astype(int)
    true = np.select([true == 254, true == 255], [K, K + 1], true)
    called = np.concatenate([np.where(s > threshold, K, p).ravel() for p, s, _ in frames])
    matrix = confusion_matrix(true, called, labels=range(K + 2))
    matrix[K + 1], matrix[:, K + 1] = 0, 0
    with np.errstate(invalid="ignore"):
        iou = np.diag(matrix) / (matrix.sum(0) + matrix.sum(1) - np.diag(matrix))
    return matrix[: K + 1, : K + 1], iou


def count(frames, threshold):
    metric = OpenSet(CLASSES, threshold)
    for frame in frames:
        metric.update(*frame)
    return metric.compute()


def thresholds(frames, tpr=0.95):
    return threshold_at_tpr(
        np.concatenate([score[label == 254] for _, score, label in frames]), tpr
    )


@pytest.mark.parametrize("seed", range(5))
def test_open_and_closed_miou_equal_scikit_learn(seed):
    frames = [street(seed), street(seed + 100)]
    ours = count(frames, 1.0)
    matrix, iou = by_hand(frames, 1.0)
    np.testing.assert_array_equal(ours.confusion, matrix)
    np.testing.assert_allclose(ours.open_iou, iou[:K], rtol=0, atol=1e-12)
    assert ours.open_miou == pytest.approx(np.nanmean(iou[:K]), abs=1e-12)
    assert ours.anomaly_iou == pytest.approx(iou[K], abs=1e-12)
    true = np.concatenate([label[label < 254] for _, _, label in frames])
    called = np.concatenate([p[label < 254] for p, _, label in frames])
    closed = jaccard_score(true, called, average="macro")
    assert ours.closed_miou == pytest.approx(closed, abs=1e-12)


def test_a_case_by_hand():
    label = np.array([[0, 0, 1, 1, 254, 254, 255]], np.uint8)
    predicted = np.array([[0, 1, 1, 1, 0, 1, 0]], np.uint8)
    score = np.array([[0, 0, 0, 9, 9, 0, 9]], np.float32)
    metric = OpenSet(("a", "b", "never"), 5)
    metric.update(predicted, score, label)
    ours = metric.compute()
    assert ours.closed_iou[:2] == pytest.approx([1 / 2, 2 / 3])
    assert ours.open_iou[:2] == pytest.approx([1 / 2, 1 / 4])
    assert ours.anomaly_iou == pytest.approx(1 / 3)
    assert np.isnan(ours.open_iou[2])
    assert ours.open_miou == pytest.approx(3 / 8)


@pytest.mark.parametrize("tpr", [0.5, 0.9, 0.95, 0.951, 1.0])
@pytest.mark.parametrize("size", [1, 7, 20, 100, 1000])
def test_the_threshold_is_the_first_point_of_the_roc_curve(size, tpr):
    rng = np.random.default_rng(size)
    positives = rng.normal(size=size).round(2)
    negatives = rng.normal(size=50).round(2)
    truth = np.repeat([1, 0], [size, 50])
    _, reached, points = roc_curve(
        truth, np.concatenate([positives, negatives]), drop_intermediate=False
    )
    highest = points[np.flatnonzero(reached >= tpr)[0]]
    only = points[(points <= highest) & np.isin(points, positives)].max()
    assert threshold_at_tpr(positives, tpr) == only


def test_the_score_at_the_threshold_is_still_known():
    label, predicted = np.array([[0, 0]], np.uint8), np.zeros((1, 2), np.uint8)
    metric = OpenSet(("a",), 1.0)
    metric.update(predicted, np.array([[1.0, 1.1]]), label)
    assert metric.compute().open_iou[0] == pytest.approx(0.5)


def test_a_half_above_a_threshold_that_is_none_is_an_anomaly():
    metric = OpenSet(("a",), 0.99999)
    score, label = np.array([[1.0, 0.0]], np.float16), np.array([[254, 0]], np.uint8)
    metric.update(np.zeros((1, 2), np.uint8), score, label)
    assert metric.compute().confusion.tolist() == [[1, 0], [0, 1]]


@pytest.mark.parametrize("shape", [(8, 12), (7, 9)])
def test_halving_is_torch_bilinear_and_nearest(shape):
    rng = np.random.default_rng(0)
    score, label = rng.normal(size=shape).astype(np.float32), rng.integers(0, 255, shape)
    small, thin = halve(score, label.astype(np.uint8))
    planes = torch.from_numpy(np.stack([score, label.astype(np.float32)]))[:, None]
    smooth = torch.nn.functional.interpolate(planes[:1], scale_factor=0.5, mode="bilinear")
    sharp = torch.nn.functional.interpolate(planes[1:], scale_factor=0.5, mode="nearest")
    np.testing.assert_allclose(small, smooth[0, 0].numpy(), atol=1e-6)
    np.testing.assert_array_equal(thin, sharp[0, 0].numpy())


def test_towns_take_each_others_threshold_and_weigh_by_images():
    towns = [street(1), street(2), street(3)], [street(4)]
    limits = [thresholds(town) for town in towns]
    results = [count(towns[0], limits[1]), count(towns[1], limits[0])]
    both = combine_towns(results)
    expected = (3 * results[0].open_miou + results[1].open_miou) / 4
    assert both.open_miou == pytest.approx(expected, abs=1e-12)
    assert both.closed_miou == count([*towns[0], *towns[1]], 0.0).closed_miou
    assert both.frames == 4


def test_processes_merge_to_the_whole():
    frames = [street(seed) for seed in range(4)]
    first, second, whole = (OpenSet(CLASSES, 1.0) for _ in range(3))
    for index, frame in enumerate(frames):
        (first if index % 2 else second).update(*frame)
        whole.update(*frame)
    first.merge(second)
    np.testing.assert_array_equal(first.compute().confusion, whole.compute().confusion)
    assert first.compute().open_miou == whole.compute().open_miou


def test_nothing_counted_is_nan():
    result = OpenSet(CLASSES, 0).compute()
    assert np.isnan([result.open_miou, result.closed_miou, result.anomaly_iou]).all()


@pytest.mark.parametrize(
    ("act", "error", "words"),
    [
        (lambda: OpenSet((), 0), OptionError, "0 classes"),
        (lambda: OpenSet(CLASSES, 0).merge(OpenSet(CLASSES, 1)), OptionError, "threshold 1"),
        (lambda: combine_towns([]), DataError, "0 towns"),
        (lambda: threshold_at_tpr(np.empty(0)), DataError, "needs anomaly pixels"),
        (lambda: threshold_at_tpr(np.ones(3), 1.5), OptionError, "1.5"),
        (
            lambda: OpenSet(CLASSES, 0).update(
                np.full((2, 2), 4), np.zeros((2, 2)), np.zeros((2, 2), np.uint8)
            ),
            DataError,
            "prediction holds the id 4",
        ),
        (
            lambda: OpenSet(CLASSES, 0).update(
                np.zeros((2, 2), int), np.zeros((2, 2)), np.full((2, 2), 12, np.uint8)
            ),
            DataError,
            "label holds the id 12",
        ),
        (
            lambda: OpenSet(CLASSES, 0).update(
                np.zeros((2, 2), int), np.zeros((2, 3)), np.zeros((2, 2), np.uint8)
            ),
            DataError,
            "differ in shape",
        ),
    ],
)
def test_mistakes_have_their_message(act, error, words):
    with pytest.raises(error, match=words):
        act()
