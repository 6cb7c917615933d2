"""Passes over frames on the pretended device: the host may wait there, and devices must not mix."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from roadanomaly.detectors import DETECTORS
from roadanomaly.fitting import fit_refiners
from roadanomaly.model import Model
from roadanomaly.refiners import REFINERS
from tests.contracts import toy
from tests.contracts.built import detector_options
from tests.contracts.cover import firsts_fast
from tests.contracts.test_refiners import mistaken_frames, refiner_of
from tests.cuda import pretended

pytestmark = pretended.tried

CASES: dict[str, dict[str, Any]] = {
    "atta": detector_options("atta"),
    "fusion": {**detector_options("fusion"), "rule": "learned"},
    "cflow": {**detector_options("cflow"), "condition": "position"},
    "csflow": detector_options("csflow"),
    "differnet": detector_options("differnet"),
    "diffusion_density": detector_options("diffusion_density"),
    "fastflow": detector_options("fastflow"),
    "gmm": {**detector_options("gmm"), "condition": "rows", "bands": 2},
    "padim": {"condition": "classes"},
    "patchcore": {"vectors": 300, "projection": 2, "reweight": 3},
    "pca": {"condition": "rows", "robust": 2},
    "energy_oe": {},
    "gmmseg": detector_options("gmmseg"),
    "knn": {**detector_options("knn"), "thin": 50},
    "mahalanobis": {},
    "pebal": {},
    "sml": {},
    "embedding_density": {
        "dimensions": 3,
        "couplings": 2,
        "hidden": 8,
        "aggregate": "logistic",
        "balanced": True,
        "per_frame": 60,
        "vectors": 300,
    },
}
"""With options that ask the most of a pass."""


def test_all_that_is_fitted_is_here():
    assert set(CASES) == {name for name in DETECTORS if DETECTORS.get(name).fit_passes}


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in REFINERS if REFINERS.get(name).learns])
def test_refiners_are_fitted_on_the_device(name):
    made = Model(toy.ToySegmenter(), DETECTORS.build("energy"), refiners=[refiner_of(name)])
    with pretended.device(waits=True):
        model = pretended.on_device(made)
        fit_refiners(model, mistaken_frames())
        image = toy.planted(toy.inliers(2, 9), 0.3).image.to(pretended.DEVICE)
        score, _ = model.score(image)
        assert score.device == pretended.DEVICE
        assert bool(torch.isfinite(score).all())


@pytest.mark.parametrize("name", firsts_fast(CASES))
def test_passes_are_made_on_the_device(name):
    frames = toy.Frames(*(toy.planted(toy.inliers(4, seed), 0.25) for seed in range(2)))
    made = Model(toy.segmenter_for(name), DETECTORS.build(name, CASES[name]))
    with pretended.device(waits=True):
        model = pretended.on_device(made)
        for held_out in (False, True):
            toy.walk(model, frames, held_out=held_out)
        after = any(one.held_out for one in model.detector.fit_passes)
        if model.detector.kind in ("train", "finetune") and not after:
            model.detector.ready = True  # as its first step says
        assert model.detector.ready
        image = toy.inliers(2, 9).image.to(pretended.DEVICE)
        score, _ = model.score(image)
        assert score.device == pretended.DEVICE
        assert bool(torch.isfinite(score).all())
