"""What every refiner of the catalogue keeps, and how refiners follow each other."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from torch.nn import functional

import roadanomaly
from roadanomaly.errors import DataError, NotFitted
from roadanomaly.fitting import fit_refiners
from roadanomaly.model import Model
from roadanomaly.refiners import REFINERS, Refiner
from tests.contracts import toy

OPTIONS = {"meta_classification": {"threshold": -6.0}}
"""Without which a refiner finds nothing in the toy world: a threshold on its scores' scale."""


def refiner_of(name):
    return REFINERS.build(name, OPTIONS.get(name, {}))


def mistaken_frames():
    """The toy world with grey patches, of which those of half the frames count as inliers."""
    batches = [toy.planted(toy.inliers(2, seed), 0.25) for seed in range(3)]
    ordinary = [toy.planted(toy.inliers(2, seed), 0.4) for seed in (3, 4, 5)]
    labels = [toy.inliers(2, seed).label for seed in (3, 4, 5)]
    ordinary = [replace(one, label=label) for one, label in zip(ordinary, labels, strict=True)]
    return toy.Frames(*batches, *ordinary)


every = pytest.mark.parametrize("name", REFINERS)


@every
def test_options_are_plain_and_rebuild_it(name):
    refiner = REFINERS.build(name)
    options = json.loads(json.dumps(refiner.options()))
    assert set(options) == set(REFINERS.options(name))
    assert REFINERS.build(name, options).options() == refiner.options()


@every
def test_it_is_saved_with_the_model_and_scores_the_same(name, tmp_path, monkeypatch):
    monkeypatch.setitem(roadanomaly.SEGMENTERS.entries, "toy", "tests.contracts.toy:ToySegmenter")
    model = Model(toy.ToySegmenter(), roadanomaly.detector("energy"), refiners=[refiner_of(name)])
    if REFINERS.get(name).learns:
        fit_refiners(model, mistaken_frames())
    image = toy.planted(toy.inliers(2, 0), 0.3).image
    score, _ = model.score(image)
    assert score.shape == (2, toy.HEIGHT, toy.WIDTH)
    assert torch.isfinite(score).all()
    model.save(tmp_path / "model")
    again = roadanomaly.load(tmp_path / "model")
    assert [type(one) for one in again.head.refiners] == [REFINERS.get(name)]
    assert torch.equal(again.score(image)[0], score)


@pytest.mark.parametrize("name", [name for name in REFINERS if REFINERS.get(name).learns])
def test_fitted_anew_it_is_as_if_for_the_first_time(name):
    image = toy.planted(toy.inliers(2, 0), 0.3).image
    anew, first = (
        Model(toy.ToySegmenter(), roadanomaly.detector("energy"), refiners=[refiner_of(name)])
        for _ in range(2)
    )
    others = [toy.planted(toy.inliers(4, seed), 0.1) for seed in (7, 8)]
    fit_refiners(anew, mistaken_frames())
    with pytest.raises(DataError, match="broken"):
        fit_refiners(anew, toy.Interrupted(*others))
    assert not anew.head.refiners[0].ready
    for model in (anew, first):
        fit_refiners(model, mistaken_frames())
    torch.testing.assert_close(anew.score(image)[0], first.score(image)[0])


class Doubled(Refiner):
    """Twice the score; on the grid that a test sets."""

    def options(self):
        return {}

    def forward(self, score, segmentation, image):
        self.seen = score.shape
        return 2 * score


class Learned(Refiner):
    learns = True

    def options(self):
        return {}

    def forward(self, score, segmentation, image):
        return score


def test_native_refiners_come_before_the_score_is_enlarged():
    before, after = Doubled(), Doubled()
    before.grid, after.grid = "native", "image"
    detector = toy.prepared("densehybrid")
    segmenter = toy.ToySegmenter()
    model = Model(segmenter, roadanomaly.detector("densehybrid", features=["colour"]))
    model.detector.load_state_dict(detector.state_dict())
    plain, _ = model.score(toy.inliers(1, 0).image)
    refined = Model(segmenter, model.detector, refiners=[after, before])
    refined.detector.load_state_dict(detector.state_dict())
    score, _ = refined.score(toy.inliers(1, 0).image)
    torch.testing.assert_close(score, 4 * plain)
    assert before.seen[-2:] == (toy.HEIGHT // 2, toy.WIDTH // 2)
    assert after.seen[-2:] == (toy.HEIGHT, toy.WIDTH)


def test_one_that_must_be_fitted_says_so():
    model = Model(toy.ToySegmenter(), roadanomaly.detector("energy"), refiners=[Learned()])
    with pytest.raises(NotFitted, match="the refiner `Learned`"):
        model.score(toy.inliers(1, 0).image)


def test_smoothing_on_the_image_grid_equals_an_average_pool():
    refiner = REFINERS.build("smooth", {"window": 3})
    model = Model(toy.ToySegmenter(), roadanomaly.detector("energy"))
    image = toy.inliers(1, 0).image
    plain, _ = model.score(image)
    smooth, _ = Model(model.segmenter, model.detector, refiners=[refiner]).score(image)
    expected = functional.avg_pool2d(plain[:, None], 3, 1)[:, 0]
    torch.testing.assert_close(smooth[:, 1:-1, 1:-1], expected, rtol=1e-4, atol=1e-5)


class Offset(Refiner):
    """Takes the mean of what enters it away; on the grid that a test sets."""

    learns = True

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(()))
        self.seen = []

    def options(self):
        return {}

    def forward(self, score, segmentation, image):
        return score - self.mean

    def update(self, score, segmentation, batch):
        self.seen.append(score)

    def finish(self):
        self.mean = torch.cat(self.seen).mean()
        self.ready = True


@pytest.mark.parametrize("grid", ["native", "image"])
def test_refiners_are_fitted_on_the_scores_that_enter_them(grid):
    first, second = Doubled(), Offset()
    first.grid, second.grid = "native", grid
    model = Model(toy.ToySegmenter(), roadanomaly.detector("energy"))
    frames = toy.Frames(toy.inliers(4, 0))
    plain = torch.cat([model.score(frame.image[None] / 255)[0] for frame in frames])
    fit_refiners(model.refine([second, first] if grid == "image" else [first, second]), frames)
    assert second.mean.item() == pytest.approx(2 * plain.mean().item(), rel=1e-5)
    refined, _ = model.score(frames[0].image[None] / 255)
    torch.testing.assert_close(refined, 2 * plain[:1] - second.mean, rtol=1e-4, atol=1e-4)
