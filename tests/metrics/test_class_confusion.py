"""IoU of the known classes against scikit-learn's Jaccard score."""

import numpy as np
import pytest
from sklearn.metrics import jaccard_score

from roadanomaly.errors import DataError, OptionError
from roadanomaly.metrics import ClassConfusion

CLASSES = ("road", "car", "sky", "bus")


def images(count=5):
    rng = np.random.default_rng(11)
    for _ in range(count):
        label = rng.choice(np.array([0, 1, 2, 254, 255], np.uint8), (20, 30))
        yield rng.integers(0, 3, (20, 30)), label


def test_iou_equals_scikit_learn():
    metric = ClassConfusion(CLASSES)
    for pred, label in images():
        metric.update(pred, label)
    pred, label = (np.stack(parts) for parts in zip(*images(), strict=True))
    known = label < 254
    expected = jaccard_score(label[known], pred[known], labels=[0, 1, 2], average=None)
    result = metric.compute()
    assert result.iou[:3] == pytest.approx(expected)
    assert np.isnan(result.iou[3])
    assert result.miou == pytest.approx(expected.mean())
    assert result.confusion.sum() == known.sum()


def test_a_class_without_labels_is_left_out_of_the_mean():
    metric = ClassConfusion(CLASSES)
    metric.update(np.array([[0, 3]]), np.array([[0, 0]], np.uint8))
    result = metric.compute()
    assert result.iou[3] == 0
    assert result.miou == 0.5
    assert np.isnan(ClassConfusion(CLASSES).compute().miou)


def test_split_counts_merge():
    whole, parts = ClassConfusion(CLASSES), [ClassConfusion(CLASSES) for _ in range(2)]
    for number, image in enumerate(images()):
        whole.update(*image)
        parts[number % 2].update(*image)
    parts[0].merge(parts[1])
    assert np.array_equal(whole.compute().confusion, parts[0].compute().confusion)
    with pytest.raises(OptionError, match="cannot join"):
        whole.merge(ClassConfusion(("road",)))


@pytest.mark.parametrize(
    ("pred", "label", "message"),
    [
        (np.zeros((2, 3), int), np.zeros((2, 2), np.uint8), r"shape \(2, 3\)"),
        (np.zeros((2, 2)), np.zeros((2, 2), np.uint8), "prediction is float64"),
        (np.zeros((2, 2), int), np.full((2, 2), 4, np.uint8), "label holds the id 4"),
        (np.full((2, 2), -1), np.zeros((2, 2), np.uint8), "prediction holds the id -1"),
    ],
)
def test_ids_that_are_no_class_are_refused(pred, label, message):
    with pytest.raises(DataError, match=message):
        ClassConfusion(CLASSES).update(pred, label)
