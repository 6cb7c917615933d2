"""Detectors on segmenters that they accept, by a pairwise cover, and a refusal on all others."""

from __future__ import annotations

import pytest
import torch

import roadanomaly
from roadanomaly.detectors import DETECTORS
from roadanomaly.errors import FeatureError, KindError
from roadanomaly.model import Model
from tests.contracts.built import build_detector, kind_of
from tests.contracts.cover import chosen_pairs, role
from tests.contracts.test_detectors import LEARNING, OFF, images, labelled, prepare
from tests.contracts.tiny import CLASSES, NETWORKS, fit_together, network, network_for

PAIRS = [(segmenter, detector) for segmenter in NETWORKS for detector in DETECTORS]
FIT = [pair for pair in PAIRS if fit_together(*pair)]
HOME = {(network_for(detector), detector) for detector in DETECTORS}
"""Those that test_detectors.py has."""
COVER = chosen_pairs([pair for pair in FIT if pair not in HOME], least=1)
ODD = (45, 70)
"""Sides that no stride divides."""
SIZES = [(64, 96), ODD, (96, 64)]


def named(pairs):
    """Return the pairs as parameters."""
    return [pytest.param(*one, id="-".join(one).replace(" ", "-")) for one in pairs]


def test_every_segmenter_meets_each_role_that_a_detector_can_have_on_it():
    met = {*COVER, *HOME}
    assert {(pair[0], role(*pair)) for pair in met} == {(pair[0], role(*pair)) for pair in FIT}


@pytest.mark.parametrize("detector", DETECTORS)
def test_every_detector_meets_each_answer_that_it_reads_and_two_segmenters(detector):
    fit, met = ({pair for pair in pairs if pair[1] == detector} for pairs in (FIT, (*COVER, *HOME)))
    assert {role(*pair) for pair in met} == {role(*pair) for pair in fit}
    assert len(met) >= 2


@pytest.mark.slow
@pytest.mark.parametrize(("segmenter", "detector"), named(COVER))
def test_scores_are_finite_independent_and_saved(segmenter, detector, tmp_path):
    model = prepare(Model(network(segmenter), build_detector(detector, len(CLASSES))), 96, 128)
    scores = {}
    for size in SIZES:
        torch.manual_seed(0)
        scores[size], _ = model.score(images(*size))
        assert scores[size].shape == (2, *size)
        assert scores[size].dtype == torch.float32
        assert torch.isfinite(scores[size]).all()
    batch, together = images(*ODD), scores[ODD]
    torch.manual_seed(0)
    alone = torch.cat([model.score(image[None])[0] for image in batch])
    off = OFF.get(detector, 1e-3)
    torch.testing.assert_close(alone, together, rtol=off, atol=off)
    model.save(tmp_path / "model")
    again = roadanomaly.load(tmp_path / "model")
    torch.manual_seed(0)
    assert torch.equal(again.score(batch)[0], together)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("segmenter", "detector"),
    named([pair for pair in COVER if kind_of(pair[1]) in LEARNING]),
)
def test_three_steps_lower_the_loss(segmenter, detector):
    """In inference mode, so that dropout and batch statistics do not blur the comparison."""
    model = Model(network(segmenter), build_detector(detector, len(CLASSES)))
    parts = [model.detector]
    if model.detector.kind == "finetune":
        parts.append(model.segmenter)
    moved = [one for part in parts for one in part.parameters() if one.requires_grad]
    optimiser = torch.optim.Adam(moved, lr=1e-3)
    batch = labelled(images(64, 96))
    losses = []
    for _ in range(4):
        torch.manual_seed(0)
        optimiser.zero_grad()
        segmentation = model.detector.look(model.segmenter, batch.image)
        terms = model.detector.loss(segmentation, batch)
        if model.detector.kind == "finetune":
            terms |= model.segmenter.loss(*model.detector.taught(segmentation, batch))
        loss = sum(terms.values())
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[3] < losses[0]


@pytest.mark.slow
@pytest.mark.parametrize("segmenter", NETWORKS)
def test_what_does_not_fit_is_refused_at_once(segmenter):
    """By a check that changes no network, so that one serves all."""
    asked = network(segmenter)
    for _, detector in [pair for pair in PAIRS if pair not in FIT and pair[0] == segmenter]:
        with pytest.raises((KindError, FeatureError)):
            Model(asked, build_detector(detector, len(CLASSES)))
