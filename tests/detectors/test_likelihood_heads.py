"""UEM and ULRE: losses against closed forms and finite differences, scores against formulas."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import special
from torch.distributions import Beta, Dirichlet, kl_divergence

import roadanomaly
from roadanomaly.detectors.hybrid.uem import Mixtures, likelihood_ratio, ratio_loss
from roadanomaly.detectors.hybrid.ulre import evidential_losses
from roadanomaly.errors import OptionError
from roadanomaly.model import Model
from roadanomaly.types import IGNORE, INLIER, NEGATIVE, VOID, Batch, Segmentation
from tests.contracts import toy
from tests.contracts.tiny import network

LABEL = torch.tensor([[[0, INLIER, VOID], [NEGATIVE, NEGATIVE, IGNORE]]], dtype=torch.uint8)
NEGATIVES, COUNTED = LABEL == NEGATIVE, (LABEL < VOID) | (LABEL == NEGATIVE)


def random(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.manual_seed(seed))


def test_the_ratio_is_what_the_likelihoods_leave_of_the_classifier():
    u, logits = random(1, 2, 2, 3), random(1, 4, 2, 3, seed=1)
    found = likelihood_ratio(u, Segmentation(logits, (2, 3), (2, 3))).numpy()
    expected = u[:, 1].numpy() - u[:, 0].numpy() - logits.numpy().max(1)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_the_ratios_loss_is_the_cross_entropy_of_a_logistic():
    ratio = 4 * random(1, 2, 3)
    found = ratio_loss(ratio, NEGATIVES, COUNTED).item()
    chance = special.expit(ratio.numpy())
    out, rest = NEGATIVES.numpy(), (COUNTED & ~NEGATIVES).numpy()
    costs = -np.log(chance[out]).sum() - np.log1p(-chance[rest]).sum()
    assert found == pytest.approx(costs / 4)
    entering = ratio.requires_grad_()
    assert torch.autograd.gradcheck(lambda r: ratio_loss(r, NEGATIVES, COUNTED), (entering,))


@pytest.mark.parametrize("form", ["linear", "mixture"])
def test_the_whole_loss_has_the_gradient_of_finite_differences(form):
    """Through projection and likelihoods, in double precision, to the map and the logits."""
    torch.manual_seed(0)
    segmenter = toy.ToySegmenter()
    detector = roadanomaly.detector("uem", form=form, hidden=5, width=4, layers=2, components=2)
    detector.attach(segmenter)
    detector.double()
    batch = Batch(torch.zeros(1, 3, 2, 3), LABEL, ("a",))

    def loss(feature, logits):
        found = Segmentation(logits, (2, 3), (2, 3), features={"colour": feature})
        terms = detector.loss(found, batch)
        assert set(terms) == {"ratio"} | ({"likelihoods"} if form == "mixture" else set())
        return sum(terms.values())

    entering = random(1, 4, 2, 3).requires_grad_(), random(1, 3, 2, 3, seed=1)
    assert torch.autograd.gradcheck(loss, entering)


def test_mixtures_are_densities_on_the_unit_sphere():
    torch.manual_seed(0)
    head = Mixtures(3, 4).double()
    torch.nn.init.normal_(head.weights)
    values = random(1, 4, 1, 2)
    found = head(values)[0, :, 0].detach()
    for place in range(2):
        x = values[0, :, 0, place] / values[0, :, 0, place].norm()
        for side in range(2):
            log_w = head.weights[side].log_softmax(0)
            parts = torch.distributions.Normal(
                head.means[side], (head.log_variances[side] / 2).exp()
            ).log_prob(x)
            expected = (log_w + parts.sum(1)).logsumexp(0)
            assert found[side, place].item() == pytest.approx(expected.item())


def alphas(seed=0):
    return random(1, 2, 2, 3, seed=seed).mul(2).exp() + 1


@pytest.mark.parametrize("risk", ["log", "squared"])
def test_risks_are_expectations_under_the_beta_distribution(risk):
    """`squared` by its definition; `log` is the cost of the expected likelihood."""
    alpha = alphas()
    found, _ = evidential_losses(alpha, NEGATIVES, risk)
    out = torch.distributions.Beta(alpha[:, 1], alpha[:, 0])
    own = torch.where(NEGATIVES, out.mean, 1 - out.mean)
    expected = -own.log() if risk == "log" else 2 * ((1 - own).square() + out.variance)
    torch.testing.assert_close(found, expected)


def test_the_divergence_is_that_of_torch():
    alpha = alphas()
    _, found = evidential_losses(alpha, NEGATIVES, "log")
    side = torch.where(NEGATIVES[:, None].expand_as(alpha), alpha[:, [0, 0]], alpha[:, [1, 1]])
    one = torch.ones_like(side[:, 0])
    expected = kl_divergence(
        Dirichlet(torch.stack([one, side[:, 0]], -1)), Dirichlet(torch.stack([one, one], -1))
    )
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(found, kl_divergence(Beta(one, side[:, 0]), Beta(one, one)))


@pytest.mark.parametrize("risk", ["log", "squared"])
def test_evidential_gradients_are_those_of_finite_differences(risk):
    def loss(alpha):
        return sum(one.sum() for one in evidential_losses(alpha, NEGATIVES, risk))

    assert torch.autograd.gradcheck(loss, (alphas().requires_grad_(),))


def test_the_divergence_grows_over_the_training():
    model = Model(toy.ToySegmenter(), roadanomaly.detector("ulre", hidden=[8], anneal=0.5))
    detector = model.detector.train()
    batch = toy.planted(toy.inliers(2, 0), 0.2)
    found = detector.look(model.segmenter, batch.image)
    assert detector.grown() == 1.0
    detector.expect(8)
    grown, terms = [], []
    for _ in range(6):
        grown.append(detector.grown())
        terms.append(detector.loss(found, batch)["divergence"].item())
    assert grown == [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]
    np.testing.assert_allclose(terms, [one * terms[-1] for one in grown], rtol=1e-5)
    again = roadanomaly.detector("ulre", hidden=[8], anneal=0.5)
    again.attach(model.segmenter)
    again.load_state_dict(detector.state_dict())
    assert (again.passes, again.expected) == (6, 8)


def test_scores_are_a_share_and_its_log_odds():
    model = Model(toy.ToySegmenter(), roadanomaly.detector("ulre", hidden=[8]))
    model.detector.ready = True
    found = model.detector.look(model.segmenter, toy.inliers(1, 0).image)
    share = model.detector.native(found, torch.zeros(1))
    model.detector.score_by = "ratio"
    odds = model.detector.native(found, torch.zeros(1))
    torch.testing.assert_close(odds, share.logit(), atol=1e-5, rtol=1e-5)


def test_large_logits_have_finite_losses():
    model = Model(toy.ToySegmenter(), roadanomaly.detector("ulre", hidden=[8]))
    torch.nn.init.constant_(model.detector.network[-1].bias, 1e4)
    batch = toy.planted(toy.inliers(1, 0), 0.2)
    found = model.detector.look(model.segmenter, batch.image)
    assert all(torch.isfinite(one) for one in model.detector.loss(found, batch).values())


@pytest.mark.parametrize(("name", "options"), [("uem", {"form": "mixture"}), ("ulre", {})])
def test_blocks_of_a_frozen_transformer_are_read(name, options):
    model = Model(
        network("transformers dinov2"), roadanomaly.detector(name, feature="block1", **options)
    )
    model.detector.ready = True
    score, _ = model.score(torch.rand(1, 3, 56, 84))
    assert score.shape == (1, 56, 84)
    assert torch.isfinite(score).all()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("uem", {"form": "cubic"}),
        ("uem", {"width": 0}),
        ("ulre", {"risk": "none"}),
        ("ulre", {"score_by": "odds"}),
        ("ulre", {"anneal": 2.0}),
    ],
)
def test_what_makes_no_sense_is_refused(name, options):
    with pytest.raises(OptionError, match=next(iter(options))):
        roadanomaly.detector(name, **options)
