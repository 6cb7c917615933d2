"""The learned correction: nothing at first, measured scales, and what it adds."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn import functional

import roadanomaly
from roadanomaly.errors import FeatureError, OptionError
from roadanomaly.model import Model
from roadanomaly.refiners.correction import Correction
from tests.contracts import toy
from tests.contracts.built import build_detector


def corrected(**options):
    refiner = Correction(**options)
    return Model(toy.ToySegmenter(), roadanomaly.detector("energy"), refiners=[refiner]), refiner


def test_it_changes_nothing_until_it_has_learned():
    model, _ = corrected()
    plain = Model(model.segmenter, roadanomaly.detector("energy"))
    image = toy.planted(toy.inliers(2, 0), 0.3).image
    assert torch.equal(model.score(image)[0], plain.score(image)[0])


def test_it_adds_a_network_of_the_standardised_maps():
    torch.manual_seed(0)
    model, refiner = corrected(hidden=5)
    torch.nn.init.normal_(refiner.last.weight)
    image = toy.inliers(3, 1).image
    segmentation = model.segmenter(image, ("colour",))
    refiner.standardise([segmentation])
    total = 0
    for name, projection in refiner.projections.items():
        values = segmentation.logits if name == "logits" else segmentation.features[name]
        mean, variance = values.mean((0, 2, 3)), values.var((0, 2, 3), correction=0)
        deviation = (variance + refiner.scales[name].eps).sqrt()
        scaled = (values - mean[:, None, None]) / deviation[:, None, None]
        total = total + functional.conv2d(scaled, projection.weight, projection.bias)
    expected = (total.relu() * refiner.last.weight).sum(1) + refiner.last.bias
    found = refiner.correction(segmentation, (10, 14))
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["ensemble", "mc_dropout", "odin", "uno", "vae", "views"])
def test_behind_a_detector_that_looks_otherwise_it_reads_the_maps_of_a_plain_pass(name):
    torch.manual_seed(0)
    segmenter, refiner = toy.segmenter_for(name), Correction(hidden=5)
    model = Model(segmenter, build_detector(name, len(toy.CLASSES)), refiners=[refiner])
    torch.nn.init.normal_(refiner.last.weight)
    detector = model.detector
    detector.ready = True
    image = toy.planted(toy.inliers(2, 1), 0.3).image
    torch.manual_seed(1)
    found, _ = model.score(image)
    torch.manual_seed(1)
    seen, plain = detector.look(segmenter, image), segmenter(image, ("colour",))
    score = detector.score(seen, image)
    read = replace(seen if seen.logits.shape[1] else plain, features=plain.features)
    expected = score + refiner.correction(read, score.shape[-2:])
    torch.testing.assert_close(found, expected.detach(), rtol=1e-4, atol=1e-4)
    assert (found - score).abs().max() > 0.1


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("name", ["ensemble", "mc_dropout", "msp", "vae"])
def test_of_an_image_that_is_padded_it_is_cut_from_that_of_the_padded_one(name, align_corners):
    """Detectors that score at image size: the maps cover the padding, the score does not."""
    torch.manual_seed(0)
    segmenter, refiner = toy.ToySegmenter(), Correction(hidden=5)
    segmenter.align_corners = align_corners
    model = Model(segmenter, build_detector(name, len(toy.CLASSES)), refiners=[refiner])
    torch.nn.init.normal_(refiner.last.weight)
    model.detector.ready = True
    small = toy.planted(toy.inliers(2, 1), 0.3).image[..., :17, :25]
    added = []
    for image in (small, functional.pad(small, (0, 3, 0, 3), mode="replicate")):
        torch.manual_seed(1)
        found, segmentation = model.score(image)
        added.append(found - model.detector.score(segmentation, image))
    assert added[1].std() > 0.01
    torch.testing.assert_close(added[0], added[1][..., :17, :25], rtol=1e-3, atol=1e-4)


def test_training_mode_leaves_the_scales_alone():
    model, refiner = corrected()
    before = {name: one.clone() for name, one in refiner.state_dict().items()}
    refiner.train()
    refiner.correction(model.segmenter(toy.inliers(2, 0).image, ("colour",)), (10, 14))
    assert all(torch.equal(before[name], one) for name, one in refiner.state_dict().items())


def test_it_asks_for_what_it_reads_and_refuses_what_there_is_not():
    model, refiner = corrected()
    assert model.head.needs == ("colour",)
    options = {"features": ["colour"], "hidden": 32, "learned_from": "none"}
    assert refiner.options() == options
    with pytest.raises(FeatureError, match="shape"):
        corrected(features=["shape"])
    with pytest.raises(OptionError, match="`hidden` must be at least 1, not 0"):
        Correction(hidden=0)
