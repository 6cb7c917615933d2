"""f-AnoGAN: its critic's penalty, its score, and who learns when."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from roadanomaly.detectors import DETECTORS
from roadanomaly.errors import OptionError
from roadanomaly.types import NEGATIVE, Batch, Segmentation
from tests.contracts.built import SMALL


def built(**options):
    torch.manual_seed(0)
    return DETECTORS.build("fanogan", {**SMALL["fanogan"], **options})


def batch_of(seed=0, count=2, negative=None):
    image = torch.rand(count, 3, 16, 24, generator=torch.Generator().manual_seed(seed))
    label = torch.zeros(count, 16, 24, dtype=torch.uint8)
    if negative is not None:
        image, clean = image.clone(), image
        image[..., negative] = 0.9
        label[..., negative] = NEGATIVE
        return Batch(image, label, ("0", "1"), clean)
    return Batch(image, label, ("0", "1"))


def terms_of(detector, batch):
    torch.manual_seed(0)
    return detector.loss(Segmentation.unasked(batch.image), batch)


def moved_by(term, network):
    found = torch.autograd.grad(term, list(network.parameters()), None, True, allow_unused=True)
    return any(one is not None and one.any() for one in found)


class Linear(nn.Module):
    """A critic whose slope is known: a weighted sum a place of 2x2 pixels."""

    def __init__(self, weight):
        super().__init__()
        self.judge = nn.Conv2d(3, 1, 2, 2, bias=False)
        with torch.no_grad():
            self.judge.weight.fill_(weight)

    def forward(self, image):
        return [image, self.judge(image)]


@pytest.mark.parametrize("weight", [0.1, 0.5])
def test_the_penalty_is_that_of_a_places_slope(weight):
    """A place reads 12 values with one weight: its slope is `weight * sqrt(12)`."""
    detector = built(penalty=10.0)
    detector.critic = Linear(weight)
    expected = 10 * (weight * 12**0.5 - 1) ** 2
    found = detector.adversarial(batch_of().image)["penalty"].item()
    assert found == pytest.approx(expected, rel=1e-5)


def test_critic_and_generator_pull_at_the_distance_of_their_scores():
    detector = built()
    detector.critic = Linear(0.5)
    image = batch_of().image
    torch.manual_seed(3)
    terms = detector.adversarial(image)
    torch.manual_seed(3)
    drawn = detector.generator(torch.randn(2, 3, 8, 12))
    real, false = (6 * one.mean() for one in (image, drawn))
    squares = (0.5 * nn.functional.avg_pool2d(image, 2).sum(1) * 4).square().mean()
    torch.testing.assert_close(terms["generator"], -false)
    torch.testing.assert_close(terms["critic"], false - real + 1e-3 * squares)


def test_each_side_learns_from_its_own_terms():
    detector = built()
    terms = terms_of(detector, batch_of())
    parts = {"critic": detector.critic, "generator": detector.generator, "code": detector.encoder}
    learning = {
        "critic": {"critic"},
        "penalty": {"critic"},
        "generator": {"generator"},
        "image": {"code"},
        "features": {"code"},
    }
    for name, expected in learning.items():
        assert {part for part, one in parts.items() if moved_by(terms[name], one)} == expected
    claimed = {id(one) for pace in detector.learners().values() for one in pace.parameters}
    drawing = [*detector.critic.parameters(), *detector.generator.parameters()]
    assert claimed == {id(one) for one in drawing}


def test_the_encoder_learns_after_the_generator_and_all_have_a_gradient_always():
    detector = built(gan=0.5)
    detector.expect(4)
    waiting = []
    for _ in range(4):
        detector.zero_grad()
        terms = terms_of(detector, batch_of())
        sum(terms.values()).backward()
        assert all(one.grad is not None for one in detector.parameters())
        waiting.append(not any(one.grad.any() for one in detector.encoder.parameters()))
        assert waiting[-1] == any(one.grad.any() for one in detector.generator.parameters())
    assert waiting == [True, True, False, False]


def test_negatives_teach_nobody():
    """The generator draws what was there before, the encoder inverts the inliers."""
    changed, detector = slice(8, 16), built()
    given = batch_of(negative=changed)
    clean = terms_of(detector, Batch(given.original, torch.zeros_like(given.label), given.ids))
    found = terms_of(detector, given)
    for name in ("critic", "penalty", "generator"):
        torch.testing.assert_close(found[name], clean[name])
    image = given.image
    error = (image - detector.generator(detector.encoder(image))).square().mean(1)
    kept = torch.ones(24, dtype=torch.bool)
    kept[changed] = False
    torch.testing.assert_close(found["image"], error[..., kept].mean())


def test_the_score_is_that_of_pixels_and_of_the_critics_map():
    detector = built(features=0.7, smooth=1).eval()
    image = batch_of().image
    rebuilt, score = detector.judge(image)
    maps = [detector.critic(one)[-2] for one in (image, rebuilt)]
    inner = (maps[0] - maps[1]).square().mean(1, keepdim=True)
    inner = nn.functional.interpolate(inner, (16, 24), mode="bilinear")[:, 0]
    torch.testing.assert_close(rebuilt, detector.generator(detector.encoder(image)))
    torch.testing.assert_close(score, (image - rebuilt).square().mean(1) + 0.7 * inner)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"widths": [6]}, "multiples of 4"),
        ({"gan": 1.5}, r"0\.\.1"),
        ({"critic_lr": 0.0}, "above 0"),
    ],
)
def test_values_that_cannot_work_are_refused(options, match):
    with pytest.raises(OptionError, match=match):
        built(**options)
