"""Permutation p-values: the definition, their distribution, a class at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import kstest

from roadanomaly.detectors import DETECTORS
from roadanomaly.errors import DataError, OptionError
from roadanomaly.fitting import fit_refiners
from roadanomaly.model import Model
from roadanomaly.refiners import REFINERS
from roadanomaly.refiners.p_value import p_values
from roadanomaly.types import IGNORE, Batch, Segmentation
from tests.contracts import toy


def test_it_counts_as_the_definition_says():
    rng = np.random.default_rng(0)
    seen, score = rng.integers(0, 9, 40) / 4, rng.integers(-1, 10, 30) / 4
    upper = (1 + (seen >= score[:, None]).sum(1)) / 41
    lower = (1 + (seen <= score[:, None]).sum(1)) / 41
    rising, given = torch.from_numpy(np.sort(seen)), torch.from_numpy(score)
    found = [p_values(rising, given, sides).numpy() for sides in ("upper", "both")]
    np.testing.assert_allclose(found[0], upper)
    np.testing.assert_allclose(found[1], np.minimum(1, 2 * np.minimum(upper, lower)))


@pytest.mark.parametrize("sides", ["upper", "both"])
def test_of_the_same_distribution_they_are_uniform(sides):
    drawn = torch.randn(6000, generator=torch.Generator().manual_seed(0)).exp()
    p = p_values(drawn[:3000].sort().values, drawn[3000:], sides)
    assert kstest(p.numpy(), "uniform").statistic < 0.04


def fitted(score, **options):
    """Fit on a map of scores whose two halves are of two predicted classes."""
    refiner = REFINERS.build("p_value", {"per_frame": 10_000, **options})
    refiner.attach(toy.ToySegmenter())
    logits = torch.zeros(1, 3, *score.shape[-2:])
    half = score.shape[-2] // 2
    logits[:, 0, :half] = logits[:, 1, half:] = 9
    said = Segmentation(logits, score.shape[-2:], score.shape[-2:], {})
    label = torch.zeros(score.shape, dtype=torch.uint8)
    refiner.update(score, said, Batch(torch.zeros(1, 3, *score.shape[-2:]), label, ("a",)))
    refiner.finish()
    return refiner, said


@pytest.mark.parametrize("pixels", [1, 999, 1000, 1001, 1999, 5000])
def test_a_frame_gives_so_many_pixels_at_most(pixels):
    refiner = REFINERS.build("p_value", {"per_frame": 1000})
    refiner.attach(toy.ToySegmenter())
    score = torch.arange(pixels).float().view(1, 1, pixels)
    said = Segmentation(torch.zeros(1, 3, 1, pixels), (1, pixels), (1, pixels))
    label = torch.zeros(1, 1, pixels, dtype=torch.uint8)
    refiner.update(score, said, Batch(torch.zeros(1, 3, 1, pixels), label, ("a",)))
    kept = refiner._seen[0].values()
    assert min(pixels, 500) <= len(kept) <= 1000
    assert len(set(np.diff(kept))) <= 1
    assert pixels - 1 - kept[-1] < 5


@pytest.mark.parametrize("sides", ["upper", "both"])
def test_what_is_no_number_stays_none(sides):
    score = torch.randn(1, 40, 50, generator=torch.Generator().manual_seed(0))
    refiner, said = fitted(score, sides=sides, per_class=True)
    score[0, 3, 4] = torch.nan
    found = refiner(score, said, torch.zeros(1, 3, 40, 50))
    assert found.isnan().nonzero().tolist() == [[0, 3, 4]]


def test_a_class_is_ranked_among_its_own():
    score = torch.randn(1, 40, 50, generator=torch.Generator().manual_seed(0))
    score[:, 20:] += 10
    alone, said = fitted(score, per_class=True)
    together, _ = fitted(score)
    image = torch.zeros(1, 3, 40, 50)
    own, all_in_one = (1 - one(score, said, image) for one in (alone, together))
    for part in (np.s_[:, :20], np.s_[:, 20:]):
        assert kstest(own[part].flatten().numpy(), "uniform").statistic < 0.01
    assert all_in_one[:, 20:].max() < 0.51
    assert all_in_one[:, :20].min() > 0.49


def test_the_segmenter_is_run_for_it_behind_a_detector_of_images():
    segmenter = toy.ToySegmenter()
    detector = DETECTORS.build("likelihood", {"cell": 8, "overlap": 1, "flow": {"name": "glow"}})
    detector.ready = True
    refiner = REFINERS.build("p_value", {"per_class": True})
    model = Model(segmenter, detector, refiners=[refiner])
    fit_refiners(model, toy.Frames(toy.inliers(3, 0)))
    _, said = model.score(toy.inliers(1, 1).image)
    assert said.logits.shape[1] == 3
    assert refiner.counts[1:].min() >= 100


def test_too_few_pixels_and_unknown_sides_are_refused():
    refiner = REFINERS.build("p_value")
    refiner.attach(toy.ToySegmenter())
    batch = toy.inliers(1, 0)
    batch.label.fill_(IGNORE)
    said = Segmentation.unasked(batch.image)
    refiner.update(torch.zeros(1, toy.HEIGHT, toy.WIDTH), said, batch)
    with pytest.raises(DataError, match="0 inlier pixels"):
        refiner.finish()
    with pytest.raises(OptionError, match="sides"):
        REFINERS.build("p_value", {"sides": "lower"})
