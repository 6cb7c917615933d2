"""The energy hinge: by hand, by finite differences, and margins that are quantiles."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import special

import roadanomaly
from roadanomaly.errors import DataError, FeatureError, OptionError
from roadanomaly.model import Model
from roadanomaly.segmenters.last_layer import last_parameters
from roadanomaly.training.step import TrainingStep
from roadanomaly.types import IGNORE, INLIER, NEGATIVE, VOID, Batch, Segmentation
from tests.contracts import toy
from tests.contracts.tiny import network

LABEL = torch.tensor([[[0, 1, INLIER, VOID], [NEGATIVE, NEGATIVE, IGNORE, 2]]], dtype=torch.uint8)


def case(seed=0):
    """Logits in double precision of 2 by 4 pixels of 3 classes, and a batch of those labels."""
    logits = torch.randn(1, 3, 2, 4, dtype=torch.float64, generator=torch.manual_seed(seed)) * 3
    return logits, Batch(torch.zeros(1, 3, 2, 4), LABEL, ("a",))


def hinge(logits, margins, weight=1.0):
    detector = roadanomaly.detector("energy_oe", margins=margins, weight=weight)
    return detector.loss(Segmentation(logits, (2, 4), (2, 4)), case()[1])


def test_the_hinge_is_the_one_worked_out_by_hand():
    """Each pixel's energy is -ln 3 less its common logit: -1.0986 - (0, 3, 1, 9; -4, 1, 9, 5)."""
    common = torch.tensor([[0.0, 3, 1, 9], [-4, 1, 9, 5]], dtype=torch.float64)
    logits = common.expand(1, 3, 2, 4)
    terms = hinge(logits, [-4.0986, -1.0986], weight=0.2)
    # inliers 0, 1, INLIER and 2 lie 3, 0, 2 and -2 above the low margin; negatives -4 and 1 below
    assert terms["energy_inliers"].item() == pytest.approx(0.1 * (9 + 0 + 4 + 0) / 4, rel=1e-4)
    assert terms["energy_negatives"].item() == pytest.approx(0.1 * (0 + 1) / 2, rel=1e-4)


@pytest.mark.slow
def test_its_gradient_is_that_of_finite_differences():
    logits = case()[0].requires_grad_()
    assert torch.autograd.gradcheck(lambda s: sum(hinge(s, [-3.0, -1.0]).values()), (logits,))


def test_margins_are_quantiles_of_inlier_energies():
    detector = roadanomaly.detector("energy_oe", quantiles=[0.25, 1.0])
    energies = []
    for seed in range(30):
        logits, batch = case(seed)
        detector.update(Segmentation(logits, (2, 4), (2, 4)), batch, "energies")
        energies.append(-special.logsumexp(logits.numpy(), 1)[0][LABEL[0].numpy() < VOID])
    detector.finish("energies")
    expected = np.quantile(np.concatenate(energies), [0.25, 1.0], method="nearest")
    np.testing.assert_allclose(detector.bounds, expected, rtol=1e-5)
    fresh = roadanomaly.detector("energy_oe")
    fresh.load_state_dict(detector.state_dict())
    assert torch.equal(fresh.bounds, detector.bounds)


def test_given_margins_need_no_pass_and_no_inliers_no_quantiles():
    assert roadanomaly.detector("energy_oe", margins=[-12.0, -6.0]).fit_passes == ()
    with pytest.raises(DataError, match="labelled as an inlier"):
        roadanomaly.detector("energy_oe").finish("energies")


@pytest.mark.parametrize("on", ["smp", "transformers segformer"])
def test_the_last_layer_alone_moves(on):
    """Its parameters are those that a changed map still meets: nothing else gets a gradient."""
    segmenter = network(on)
    last = {id(one) for one in last_parameters(segmenter)}
    width = segmenter.feature(segmenter.classified).channels
    shapes = [one.shape for one in segmenter.parameters() if id(one) in last]
    assert (len(segmenter.classes), width) in [shape[:2] for shape in shapes]
    model = Model(segmenter, roadanomaly.detector("energy_oe", moves="last"))
    settings = {"freeze_batch_norm": True, "supervise": "logits", "distill": 0.0}
    step = TrainingStep(segmenter, model.detector, **settings)
    learning = {id(one) for one in step.parameters() if one.requires_grad}
    assert learning == last


def test_a_network_without_a_last_layer_learns_whole_or_not_at_all():
    segmenter = toy.ToySegmenter()
    segmenter.classified = ""
    segmenter.classify = super(toy.ToySegmenter, segmenter).classify
    Model(segmenter, roadanomaly.detector("energy_oe"))
    with pytest.raises(FeatureError, match="no classifier that can be asked alone"):
        Model(segmenter, roadanomaly.detector("energy_oe", moves="last"))


@pytest.mark.parametrize(
    "options",
    [{"margins": [-1.0, -2.0]}, {"quantiles": [0.5]}, {"weight": 0.0}, {"moves": "first"}],
)
def test_what_makes_no_sense_is_refused(options):
    with pytest.raises(OptionError, match=next(iter(options))):
        roadanomaly.detector("energy_oe", **options)
