"""PEBAL: the gambler's loss by hand and by finite differences, and what moves."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

import roadanomaly
from roadanomaly.detectors.hybrid.pebal import gambler_losses
from roadanomaly.errors import NotFitted, OptionError
from roadanomaly.model import Model
from roadanomaly.training.step import TrainingStep
from roadanomaly.types import IGNORE, NEGATIVE, VOID
from tests.contracts import toy


def test_the_loss_is_the_one_worked_out_by_hand():
    """Everywhere p = (0.5, 0.3, 0.2) with the last to abstain; E = -ln(0.8 c), reward E squared.

    The logits are the logarithms of 100 p, so that exp sums to 80 over the two classes. A reward
    that is the same everywhere is not changed by smoothing.
    """
    p = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    logits = (100 * p).log().view(1, 3, 1, 1).expand(1, 3, 2, 3)
    label = torch.tensor([[[0, 1, VOID], [NEGATIVE, IGNORE, NEGATIVE]]])
    inliers, negatives = gambler_losses(logits[:, :2], logits[:, 2:], label)
    reward = math.log(80) ** 2
    costs = [-math.log(one + 0.2 / reward) for one in (0.5, 0.3)]
    assert inliers.item() == pytest.approx(sum(costs) / 2, rel=1e-9)
    assert negatives.item() == pytest.approx(sum(costs) / 2, rel=1e-9)


def test_where_the_energy_is_high_abstaining_costs_nothing():
    logits = torch.zeros(1, 2, 1, 1, dtype=torch.float64)  # E = -ln 2, whose square is below 1
    inliers, _ = gambler_losses(logits, logits[:, :1], torch.zeros(1, 1, 1, dtype=torch.long))
    assert inliers.item() == pytest.approx(-math.log(2 / 3), rel=1e-9)


def test_its_gradient_is_that_of_finite_differences():
    generator = torch.manual_seed(1)
    known = 3 * torch.randn(1, 3, 3, 4, dtype=torch.float64, generator=generator)
    abstention = torch.randn(1, 1, 3, 4, dtype=torch.float64, generator=generator)
    label = torch.randint(0, 3, (1, 3, 4), generator=generator)
    label[0, 1] = NEGATIVE
    label[0, 2, :2] = IGNORE

    def loss(one, other):
        return sum(gambler_losses(one, other, label))

    assert torch.autograd.gradcheck(loss, (known.requires_grad_(), abstention.requires_grad_()))


def test_negatives_learn_to_abstain():
    """The gradient that the public code's second logarithm loses is there."""
    known = torch.zeros(1, 3, 1, 1, requires_grad=True)
    abstention = torch.zeros(1, 1, 1, 1, requires_grad=True)
    _, negatives = gambler_losses(known, abstention, torch.full((1, 1, 1), NEGATIVE))
    negatives.backward()
    assert abstention.grad.item() < 0


def test_what_is_shown_is_what_the_loss_weighs():
    """The loss of a negative is worked out again from the maps that are shown."""
    model = Model(Two(), roadanomaly.detector("pebal"))
    model.detector.ready = True
    with torch.no_grad():
        for one in model.networks.parameters():
            one += torch.randn(one.shape, generator=torch.Generator().manual_seed(3))
    image = toy.inliers(1, 0).image
    with torch.inference_mode():
        seen = model.segmenter(image, model.detector.needs)
        whole = model.detector.explain(seen, image)
        grid = tuple(seen.logits.shape[-2:])
        seen = replace(seen, size=grid, padded=grid)
        shown = model.detector.explain(seen, image)
        label = torch.full((1, *grid), NEGATIVE)
        terms = model.detector.loss(seen, replace(toy.inliers(1, 0), label=label))
    assert {one.shape for one in whole.values()} == {(1, *image.shape[-2:])}
    chance, price = shown["probability to abstain"], shown["price of abstaining"]
    p = (1 - chance) * seen.logits.softmax(1)  # the known classes share what abstaining leaves
    expected = -0.1 * (p + chance / price).log().mean().item()
    assert terms["gambler_negatives"].item() == pytest.approx(expected, rel=1e-4)


def test_what_is_not_trained_is_not_shown():
    model = Model(Two(), roadanomaly.detector("pebal"))
    image = toy.inliers(1, 0).image
    with pytest.raises(NotFitted):
        model.detector.explain(model.segmenter(image, model.detector.needs), image)


@pytest.mark.parametrize("moves", ["last", "all"])
def test_what_moves_is_said(moves):
    model = Model(Two(), roadanomaly.detector("pebal", moves=moves))
    settings = {"freeze_batch_norm": True, "supervise": "logits", "distill": 0.0}
    step = TrainingStep(model.segmenter, model.detector, **settings).train()
    terms = step(toy.planted(toy.inliers(2, 0), 0.2))
    assert set(terms) == {"gambler", "gambler_negatives", "energy_inliers", "energy_negatives"}
    sum(terms.values()).backward()
    moving = {key for key, one in step.named_parameters() if one.grad is not None}
    last = {f"{part}.{one}" for part in LAST for one in ("weight", "bias")}
    body = {"segmenter.body.weight", "segmenter.body.bias"} if moves == "all" else set()
    assert moving == last | body


def test_a_negative_weight_is_refused():
    with pytest.raises(OptionError, match="negatives"):
        roadanomaly.detector("pebal", negatives=-1.0)


LAST = ("segmenter.classifier", "detector.head")


class Two(toy.ToySegmenter):
    """A body before the classifier."""

    def __init__(self):
        super().__init__()
        self.body = torch.nn.Conv2d(3, 3, 1)

    def maps(self, image, features):
        return super().maps(self.body(image), features)
