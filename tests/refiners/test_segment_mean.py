"""Means over segments: SciPy's, on regions by SciPy; queries by their definition."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

import roadanomaly
from roadanomaly.errors import KindError, OptionError
from roadanomaly.model import Model
from roadanomaly.refiners import REFINERS
from roadanomaly.refiners.segment_mean import regions, segment_mean, strongest_queries
from tests.contracts import toy


def test_regions_are_those_of_scipy():
    labels = np.random.default_rng(0).integers(0, 3, (12, 17))
    found = regions(labels)
    expected, total = np.zeros(labels.shape, int), 0
    for label in range(3):
        parts, count = ndimage.label(labels == label, np.ones((3, 3)))
        expected = np.where(labels == label, parts - 1 + total, expected)
        total += count
    assert len(np.unique(found)) == total
    pairs = np.unique(np.stack([found.ravel(), expected.ravel()]), axis=1)
    assert pairs.shape[1] == total


def test_means_are_those_of_scipy_and_large_segments_keep_their_scores():
    rng = np.random.default_rng(1)
    score = rng.normal(size=(10, 14)).astype(np.float32)
    segments = rng.integers(1, 5, score.shape)
    segments[3:] = 0
    found = segment_mean(torch.from_numpy(score), torch.from_numpy(segments), 0.5).numpy()
    means = ndimage.mean(score, segments, np.arange(5))
    small = segments > 0
    np.testing.assert_allclose(found[small], means[segments][small], rtol=1e-5)
    assert (found[~small] == score[~small]).all()
    whole = segment_mean(torch.from_numpy(score), torch.from_numpy(segments)).numpy()
    np.testing.assert_allclose(whole, means[segments], rtol=1e-5, atol=1e-6)


def test_an_object_of_a_class_of_its_own_is_judged_as_one():
    segmenter = toy.ToySegmenter()
    image = torch.zeros(1, 3, toy.HEIGHT, toy.WIDTH)
    image[:, 0] = 1
    image[:, :, 6:14, 10:20] = torch.tensor([0.0, 0.6, 0.1]).view(1, 3, 1, 1)
    image[:, 1, 8:10, 12:14] = 0.3
    plain, _ = Model(segmenter, roadanomaly.detector("energy")).score(image)
    refined = Model(
        segmenter,
        roadanomaly.detector("energy"),
        refiners=[REFINERS.build("segments", {"largest": 0.4})],
    )
    score, found = refined.score(image)
    inside = found.classes()[0] == 1
    assert 0.05 < inside.float().mean() < 0.4
    torch.testing.assert_close(score[0][inside], plain[0][inside].mean().expand(inside.sum()))
    assert torch.equal(score[0][~inside], plain[0][~inside])


def test_queries_are_the_strongest_at_each_pixel():
    segmenter = toy.ToyMasks()
    model = Model(
        segmenter,
        roadanomaly.detector("rba"),
        refiners=[REFINERS.build("segments", {"by": "queries", "largest": 1.0})],
    )
    image = toy.planted(toy.inliers(2, 0), 0.4).image
    score, found = model.score(image)
    masks = found.masks
    sure = masks.classes.softmax(2)[..., :-1].amax(2)
    grown = found.to_image(masks.masks).sigmoid() * sure[..., None, None]
    assert torch.equal(strongest_queries(found), grown.argmax(1))
    assert all(len(one.unique()) <= 3 for one in score)


def test_what_cannot_be_is_refused():
    with pytest.raises(OptionError, match="largest"):
        REFINERS.build("segments", {"largest": 0.0})
    with pytest.raises(OptionError, match="by"):
        REFINERS.build("segments", {"by": "colours"})
    refiner = REFINERS.build("segments", {"by": "queries"})
    with pytest.raises(KindError, match="by: classes"):
        Model(toy.ToySegmenter(), roadanomaly.detector("energy"), refiners=[refiner])
