"""Mixtures: EM and densities of scikit-learn, and classes that are theirs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.mixture import GaussianMixture

import roadanomaly
from roadanomaly.detectors.mixture import (
    Mixture,
    drawn_start,
    expectation_maximisation,
    log_densities,
)
from roadanomaly.errors import DataError, OptionError
from roadanomaly.model import Model
from tests.contracts import toy

FLOOR = 1e-3


def clouds():
    rng = np.random.default_rng(0)
    parts = [rng.normal(at, wide, (80, 3)) for at, wide in ((0, 1.0), (3, 0.5), (-2, 2.0))]
    return np.concatenate(parts)


@pytest.mark.filterwarnings("ignore:.*not converge")
@pytest.mark.parametrize("iterations", [1, 7])
def test_em_is_that_of_scikit_learn(iterations):
    """From the same start, as many steps; then densities of other vectors."""
    vectors = clouds()
    torch.manual_seed(3)
    start = drawn_start(torch.from_numpy(vectors), 3, FLOOR)
    found = expectation_maximisation(torch.from_numpy(vectors), start, iterations, FLOOR)
    theirs = GaussianMixture(
        3,
        covariance_type="diag",
        reg_covar=FLOOR,
        tol=0.0,
        max_iter=iterations,
        weights_init=start.log_weights.exp().numpy(),
        means_init=start.means.numpy(),
        precisions_init=(-start.log_variances).exp().numpy(),
    ).fit(vectors)
    np.testing.assert_allclose(found.log_weights.exp(), theirs.weights_, rtol=1e-8)
    np.testing.assert_allclose(found.means, theirs.means_, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(found.log_variances.exp(), theirs.covariances_, rtol=1e-7)
    others = clouds()[::7] + 1
    density = log_densities(torch.from_numpy(others), found)
    np.testing.assert_allclose(density, theirs.score_samples(others), rtol=1e-8)


def test_mixtures_side_by_side_are_each_its_own():
    rng = np.random.default_rng(1)
    weights, means = rng.dirichlet([1, 1], 4), rng.normal(size=(4, 2, 3))
    variances = rng.uniform(0.5, 2, (4, 2, 3))
    mixture = Mixture(
        *(torch.from_numpy(one) for one in (np.log(weights), means, np.log(variances)))
    )
    vectors = rng.normal(size=(2, 5, 3))
    found = log_densities(torch.from_numpy(vectors), mixture)
    expected = np.zeros((2, 5, 4))
    for number in range(4):
        expected[..., number] = np.log(
            sum(
                weights[number, part]
                * stats.multivariate_normal(means[number, part], variances[number, part]).pdf(
                    vectors
                )
                for part in range(2)
            )
        )
    np.testing.assert_allclose(found, expected, rtol=1e-8)


def fitted(**options):
    torch.manual_seed(0)
    model = Model(toy.ToySegmenter(), roadanomaly.detector("gmmseg", components=2, **options))
    toy.walk(model, toy.Frames(*(toy.inliers(4, seed) for seed in range(3))), held_out=False)
    return model.eval()


def test_the_classes_are_those_of_the_mixtures_whatever_the_classifier_says():
    model = fitted()
    torch.nn.init.zeros_(model.segmenter.classifier.weight)
    batch = toy.inliers(2, 9)
    score, found = model.score(batch.image)
    assert (found.classes()[batch.known] == batch.label[batch.known]).float().mean() > 0.95
    densities = model.detector.densities(found.features["colour"])
    assert torch.equal(found.logits, densities)
    torch.testing.assert_close(score, found.to_image(-densities.amax(1)))


def test_a_class_that_was_not_shown_is_never_the_answer():
    torch.manual_seed(0)
    model = Model(toy.ToySegmenter(), roadanomaly.detector("gmmseg", components=2))
    batch = toy.inliers(4, 0)
    batch.label[batch.label == 2] = 255
    toy.walk(model, toy.Frames(batch), held_out=False)
    assert model.detector.present.tolist() == [True, True, False]
    score, found = model.score(toy.inliers(2, 9).image)
    assert torch.isfinite(score).all()
    assert found.classes().max() == 1


def test_frames_without_labels_are_refused():
    model = Model(toy.ToySegmenter(), roadanomaly.detector("gmmseg"))
    batch = toy.inliers(1, 0)
    batch.label.fill_(255)
    with pytest.raises(DataError, match="min_vectors"):
        toy.walk(model, toy.Frames(batch), held_out=False)
    with pytest.raises(OptionError, match="components"):
        roadanomaly.detector("gmmseg", components=0)
