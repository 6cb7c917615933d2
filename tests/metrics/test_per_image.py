"""Per-image means against scikit-learn image by image, and TPR at a fixed FPR."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from roadanomaly.errors import OptionError
from roadanomaly.evaluation.measure import measure
from roadanomaly.metrics.exact import PixelExact
from roadanomaly.metrics.per_image import mean_of_images, tpr_at_fpr

KEYS = ("ap", "auroc", "fpr95")


def image(seed, anomalies=0.1, shape=(30, 40)):
    rng = np.random.default_rng(seed)
    label = (rng.random(shape) < anomalies).astype(np.uint8)
    score = (rng.normal(size=shape) + label * rng.random()).astype(np.float32)
    label[rng.random(shape) < 0.1] = 255
    return score, label


def accumulate(metric, images):
    for index, one in enumerate(images):
        metric.update(index, *one)
    return metric.compute()


def sklearn_image(score, label):
    truth, scores = label[label < 255], score[label < 255]
    fpr, tpr, _ = roc_curve(truth, scores, drop_intermediate=False)
    fpr95 = fpr[np.flatnonzero(tpr >= 0.95)[0]]
    return average_precision_score(truth, scores), roc_auc_score(truth, scores), fpr95


def mean_of(images):
    return mean_of_images([measure(f"{i}", *one, 1.0)[0].image for i, one in enumerate(images)])


def test_means_equal_scikit_learn_image_by_image():
    images = [image(seed) for seed in range(6)]
    ours = mean_of(images)
    expected = np.mean([sklearn_image(*one) for one in images], axis=0)
    np.testing.assert_allclose([ours[key] for key in KEYS], expected, rtol=0, atol=1e-12)


def test_images_without_anomalies_are_left_out_of_the_means():
    images = [image(0), image(1, anomalies=0.0), image(2)]
    ours = mean_of(images)
    expected = np.mean([sklearn_image(*images[0]), sklearn_image(*images[2])], axis=0)
    np.testing.assert_allclose([ours[key] for key in KEYS], expected, rtol=0, atol=1e-12)


def test_the_mean_differs_from_the_pooled_value_where_images_have_their_own_range():
    first, second = image(0), image(1)
    images = [first, (second[0].astype(np.float64) + 100, second[1])]
    ours = mean_of(images)
    assert ours["ap"] == mean_of([first, second])["ap"]
    assert accumulate(PixelExact(), images).ap != pytest.approx(ours["ap"], abs=0.001)


def test_nothing_counted_is_nan():
    assert np.isnan(list(mean_of([]).values())).all()
    assert np.isnan(tpr_at_fpr(PixelExact().compute()))


@pytest.mark.parametrize("limit", [0.0, 0.01, 0.05, 0.5, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_tpr_at_fpr_is_read_off_the_roc_curve(seed, limit):
    score, label = image(seed)
    fpr, tpr, _ = roc_curve(label[label < 255], score[label < 255], drop_intermediate=False)
    expected = tpr[np.flatnonzero(fpr >= limit)[0]]
    result = accumulate(PixelExact(), [(score, label)])
    assert tpr_at_fpr(result, limit) == pytest.approx(expected, abs=1e-12)


def test_mistakes_have_their_message():
    with pytest.raises(OptionError, match="false-positive rate is 5"):
        tpr_at_fpr(PixelExact().compute(), 5)
