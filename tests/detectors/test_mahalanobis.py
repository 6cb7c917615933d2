"""The Mahalanobis distance against SciPy and scikit-learn, and how it is collected."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from sklearn.covariance import EmpiricalCovariance, shrunk_covariance

from roadanomaly.detectors.density.mahalanobis import Mahalanobis
from roadanomaly.errors import NotFitted, OptionError
from roadanomaly.segmenters.base import FeatureInfo, Segmenter
from roadanomaly.types import IGNORE, NEGATIVE, Batch, Segmentation

WIDTH, CLASSES, ROWS, COLUMNS = 5, 4, 12, 15


class Features(Segmenter):
    """Says only what it offers; the tests make the features themselves."""

    default_feature = "f"

    def __init__(self):
        super().__init__(tuple("abcd"))
        self.features = {"f": FeatureInfo(WIDTH, 1), "g": FeatureInfo(2, 1)}

    def maps(self, image, features):
        pytest.fail("these tests hand segmentations to the detector themselves")

    def options(self):
        return {}


def detector(**options):
    made = Mahalanobis(**options)
    made.attach(Features())
    return made


def draw(count=6, seed=0):
    """Random features of four correlated Gaussian classes, with some void and some negatives."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, CLASSES, (count, ROWS, COLUMNS))
    centres = 5 * rng.normal(size=(CLASSES, WIDTH))
    mixing = rng.normal(size=(WIDTH, WIDTH))
    features = centres[label] + rng.normal(size=(*label.shape, WIDTH)) @ mixing
    label[:, 0], label[:, 1] = IGNORE, NEGATIVE
    features[label > CLASSES] += 1000
    return features.astype(np.float32), label.astype(np.uint8)


def segmentation(features):
    maps = torch.from_numpy(features).permute(0, 3, 1, 2)
    size = (maps.shape[2], maps.shape[3])
    return Segmentation(torch.zeros(len(maps), CLASSES, *size), size, size, features={"f": maps})


def fitted(features, label, splits=(None,), **options):
    made = detector(**options)
    starts = [0, *splits][: len(splits)]
    for start, stop in zip(starts, splits, strict=True):
        part = slice(start, stop)
        image = torch.zeros(len(features[part]), 3, ROWS, COLUMNS)
        batch = Batch(image, torch.from_numpy(label[part]), tuple("x" * len(image)))
        made.update(segmentation(features[part]), batch, "fit")
    made.finish("fit")
    return made


def score(made, features):
    found = segmentation(features)
    return made.score(found, torch.zeros(1)).numpy()


def known(features, label):
    keep = label < CLASSES
    return features[keep].astype(np.float64), label[keep]


def test_distance_to_the_nearest_class_is_scipy_s():
    features, label = draw()
    vectors, classes = known(features, label)
    means = np.stack([vectors[classes == k].mean(0) for k in range(CLASSES)])
    within = vectors - means[classes]
    inverse = np.linalg.inv(within.T @ within / len(within))
    test = draw(seed=1)[0]
    distance = cdist(test.reshape(-1, WIDTH), means, "mahalanobis", VI=inverse).min(1) ** 2
    found = score(fitted(features, label, shrinkage=0), test)
    np.testing.assert_allclose(found, distance.reshape(found.shape), rtol=1e-3)


@pytest.mark.parametrize("shrinkage", [0.0, 0.1, 1.0])
def test_precision_is_that_of_scikit_learn(shrinkage):
    features, label = draw()
    vectors, classes = known(features, label)
    means = np.stack([vectors[classes == k].mean(0) for k in range(CLASSES)])
    pooled = EmpiricalCovariance(assume_centered=True).fit(vectors - means[classes]).covariance_
    expected = np.linalg.inv(shrunk_covariance(pooled, shrinkage))
    made = fitted(features, label, shrinkage=shrinkage)
    np.testing.assert_allclose(made.precision, expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(made.means, means, rtol=1e-5)


def test_several_batches_equal_one():
    features, label = draw()
    one, several = fitted(features, label), fitted(features, label, splits=(1, 3, None))
    torch.testing.assert_close(several.precision, one.precision)
    torch.testing.assert_close(several.means, one.means)


def test_offsets_a_thousand_times_the_spread_lose_nothing():
    features, label = draw()
    moved = fitted(features + np.float32(1024), label)
    torch.testing.assert_close(
        moved.precision, fitted(features, label).precision, rtol=1e-2, atol=1e-3
    )


def test_void_and_negatives_are_not_collected():
    features, label = draw()
    other = features.copy()
    other[label > CLASSES] = -77
    assert torch.equal(fitted(features, label).precision, fitted(other, label).precision)


def class_means(features, label, padded, **options):
    """Fit on features `(1, WIDTH, h, w)` of a padded image with labels `(1, H, W)`."""
    size = label.shape[1:]
    found = Segmentation(
        torch.zeros(1, CLASSES, *features.shape[2:]), size, padded,
        features={"f": torch.from_numpy(features)}, **options,
    )  # fmt: skip
    made = detector(min_pixels=1)
    batch = Batch(torch.zeros(1, 3, *size), torch.from_numpy(label), ("x",))
    made.update(found, batch, "fit")
    made.finish("fit")
    return made.means


def test_labels_at_image_size_meet_features_at_their_stride():
    """Features at stride 4 of a padded image: each cell takes the label of its middle pixel."""
    cells = np.random.default_rng(0).integers(0, 2, (1, 8, 10)).astype(np.uint8)
    cells[0, :4] = 0
    features = np.float32(3) * cells[:, None].repeat(WIDTH, 1)
    label = cells.repeat(4, 1).repeat(4, 2)[:, :30, :37]
    means = class_means(features, label, (32, 40))
    np.testing.assert_allclose(means[0], 0)
    np.testing.assert_allclose(means[1], 3)


def test_the_corner_features_of_an_align_corners_network_meet_the_corner_labels():
    label, features = np.zeros((1, 31, 37), np.uint8), np.zeros((1, WIDTH, 7, 7), np.float32)
    corners = np.ix_([0, -1], [0, -1])
    label[0][corners] = 1
    features[:, :, *corners] = 3
    means = class_means(features, label, (31, 37), align_corners=True)
    np.testing.assert_allclose(means[0], 0)
    np.testing.assert_allclose(means[1], 3)


def test_rare_classes_are_left_out():
    features, label = draw()
    label[label == 2] = IGNORE
    label[0, 5, :3] = 2
    made = fitted(features, label, min_pixels=10)
    assert made.present.tolist() == [True, True, False, True]
    only = features[:1].copy()
    only[:] = made.means[2].numpy()
    assert score(made, only).min() > 1


def test_no_class_at_all_is_an_error():
    features, label = draw()
    with pytest.raises(OptionError, match="no class has 50 labelled pixels; fit on more"):
        fitted(features, np.full_like(label, IGNORE))


def test_unfitted_and_unattached_it_says_so():
    for made in (detector(), Mahalanobis()):
        with pytest.raises(
            NotFitted, match=r"`mahalanobis` has learned nothing yet; .*roadanomaly fit"
        ):
            made.score(segmentation(draw(1)[0]), torch.zeros(1))


def test_a_second_finish_changes_nothing():
    features, label = draw()
    made = fitted(features, label)
    before = made.precision.clone()
    made.finish("fit")
    assert torch.equal(made.precision, before)


def test_the_feature_is_chosen_by_name():
    assert detector().needs == ("f",)
    assert detector(feature="g").needs == ("g",)
    assert detector(feature="g").means.shape == (CLASSES, 2)


@pytest.mark.parametrize("shrinkage", [-0.1, 1.1])
def test_shrinkage_is_a_share(shrinkage):
    with pytest.raises(OptionError, match=r"must lie in 0\.\.1"):
        Mahalanobis(shrinkage=shrinkage)


def test_width_of_a_constant_channel_does_not_break_it():
    features, label = draw()
    features[..., 0] = 2
    made = fitted(features, label, shrinkage=0)
    assert np.isfinite(score(made, features)).all()


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_half_precision_leaves_the_distances_as_they_are(half):
    features, label = draw()
    made = fitted(features, label)
    exact = score(made, features)
    assert exact.max() > torch.finfo(torch.float16).max
    with torch.autocast("cpu", half):
        np.testing.assert_array_equal(score(made, features), exact)
