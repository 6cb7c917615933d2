"""RPL: closed-set answers to the bit, its loss by NumPy, its contrast by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import special, stats

import roadanomaly
from roadanomaly.detectors.hybrid.contrast import drawn_places, info_nce
from roadanomaly.detectors.hybrid.rpl import LOGITS, RESIDUAL
from roadanomaly.errors import FeatureError, OptionError
from roadanomaly.model import Model
from roadanomaly.types import IGNORE, INLIER, NEGATIVE, VOID, Batch, Segmentation
from tests.contracts import toy
from tests.contracts.tiny import network

LABEL = np.array([[[0, 1, INLIER], [NEGATIVE, NEGATIVE, VOID], [IGNORE, 2, 0]]], dtype=np.uint8)


def detector(**options):
    return roadanomaly.detector("rpl", width=8, **options)


def terms(frozen, corrected, **options):
    found = Segmentation(frozen, (3, 3), (3, 3), features={LOGITS: corrected})
    return detector(**options).loss(
        found, Batch(torch.zeros(1, 3, 3, 3), torch.from_numpy(LABEL), ("a",))
    )


def drawn(seed=0):
    generator = torch.manual_seed(seed)
    return (3 * torch.randn(1, 4, 3, 3, dtype=torch.float64, generator=generator) for _ in range(2))


def test_the_loss_is_that_of_numpy():
    frozen, corrected = drawn()
    found = {key: one.item() for key, one in terms(frozen, corrected, hold=0.5).items()}
    one, other = frozen.numpy(), corrected.numpy()
    inlier, negative = LABEL < VOID, LABEL == NEGATIVE
    log_p = special.log_softmax(other, 1)
    own = -np.take_along_axis(log_p, one.argmax(1)[:, None], 1)[:, 0]
    entropies = [stats.entropy(special.softmax(s, 1), axis=1) for s in (one, other)]
    evidence = [special.logsumexp(s, 1) for s in (one, other)]
    assert found["class"] == pytest.approx(own[inlier].mean())
    assert found["entropy"] == pytest.approx(((entropies[1] - entropies[0])[inlier] ** 2).mean())
    assert found["energy"] == pytest.approx(0.05 * np.maximum(evidence[1], 0)[negative].mean())
    moved = (evidence[1] - evidence[0])[inlier] ** 2
    assert found["hold"] == pytest.approx(0.5 * moved.mean())


@pytest.mark.slow
def test_its_gradient_is_that_of_finite_differences():
    frozen, corrected = drawn()
    assert torch.autograd.gradcheck(
        lambda s: sum(terms(frozen, s, hold=0.1).values()), (corrected.requires_grad_(),)
    )


def test_contrast_is_the_one_worked_out_by_hand():
    """Two negatives of cosine 0.6, an inlier at 0.8 from one and 0 from the other; t = 0.5."""
    anchors = torch.tensor([[1.0, 0.0], [0.6, 0.8]], dtype=torch.float64)
    others = torch.tensor([[0.8, -0.6], [1.0, 0.0]], dtype=torch.float64)
    both, here = torch.tensor([True, True]), torch.tensor([True, False])
    alike = math.exp(0.6 / 0.5)
    costs = [-math.log(alike / (alike + math.exp(cosine / 0.5))) for cosine in (0.8, 0.0)]
    found = info_nce(anchors, both, others, here, 0.5)
    assert found.item() == pytest.approx(sum(costs) / 2, rel=1e-9)
    anchors, others = anchors.requires_grad_(), others.requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b: info_nce(a, both, b, here, 0.5), (anchors, others))
    for one, other in ((both & here, here), (both, here & ~both)):
        assert info_nce(anchors, one, others, other, 0.5).item() == 0


def test_places_are_drawn_from_the_mask():
    mask = torch.zeros(4, 5, dtype=torch.bool)
    mask[1, 2] = mask[3] = True
    places, valid = drawn_places(mask, 4)
    assert mask.flatten()[places].all()
    assert valid.all()
    places, valid = drawn_places(mask, 10)
    assert valid.sum() == 6
    assert torch.equal(mask.flatten()[places], valid)


@pytest.mark.parametrize("on", ["smp", "transformers segformer"])
def test_closed_set_answers_stay_to_the_bit(on):
    """Also after the branch has learned something; before that, both energies are one."""
    segmenter = network(on)
    image = torch.rand(2, 3, 64, 96)
    model = Model(segmenter, detector(contrast=True))
    model.detector.ready = True
    score, found = model.score(image)
    torch.testing.assert_close(score, found.to_image(-found.logits.logsumexp(1)))
    torch.nn.init.normal_(model.detector.pyramid[-1].bias, std=10)
    score, changed = model.score(image)
    with torch.inference_mode():
        plain = segmenter(image)
    assert torch.equal(changed.logits, plain.logits)
    assert torch.equal(changed.classes(), plain.classes())
    corrected = segmenter.classify(
        changed.features[segmenter.classified] + _grown(changed, segmenter.classified)
    )
    expected = changed.to_image(-corrected.logsumexp(1))
    torch.testing.assert_close(score, expected, rtol=1e-4, atol=1e-4)
    assert (expected - changed.to_image(-plain.logits.logsumexp(1))).abs().max() > 1e-3


def _grown(found, name):
    assert found.features[RESIDUAL].shape == found.features[name].shape
    return found.features[RESIDUAL]


def test_contrast_is_a_term_of_its_own_and_reaches_the_branch():
    model = Model(toy.ToySegmenter(), detector(contrast=True))
    torch.nn.init.normal_(model.detector.pyramid[-1].weight)
    batch = toy.planted(toy.inliers(2, 0), 0.2)
    found = model.detector.look(model.segmenter, batch.image)
    with_contrast = model.detector.loss(found, batch)
    assert set(with_contrast) == {"class", "entropy", "energy", "contrast"}
    with_contrast["contrast"].backward()
    assert model.detector.pyramid[-1].weight.grad.any()
    empty = replace(batch, label=torch.full_like(batch.label, VOID))
    found = model.detector.look(model.segmenter, batch.image)
    assert all(one.item() == 0 for one in model.detector.loss(found, empty).values())


def test_what_cannot_be_is_refused():
    with pytest.raises(OptionError, match="weight"):
        detector(weight=0.0)
    segmenter = toy.ToySegmenter()
    segmenter.classified = ""
    segmenter.classify = super(toy.ToySegmenter, segmenter).classify
    with pytest.raises(FeatureError, match="no classifier that can be asked alone"):
        Model(segmenter, detector())
