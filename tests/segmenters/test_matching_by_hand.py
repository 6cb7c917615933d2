"""The matching loss step by step: SciPy's assignment, terms worked out by hand, and slopes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment
from transformers import Mask2FormerConfig
from transformers.models.mask2former.modeling_mask2former import Mask2FormerLoss

from roadanomaly.segmenters.matching import for_classes, matching_loss
from roadanomaly.types import IGNORE, NEGATIVE, Masks

CLASSES, QUERIES, SIDE = 4, 6, 8
WEIGHTS = {"loss_cross_entropy": 2.0, "loss_mask": 5.0, "loss_dice": 5.0}


def criterion(**changes):
    """Transformers' loss with its published weights and random points alone, which have slopes."""
    values = {"train_num_points": 4096, "importance_sample_ratio": 0.0, **changes}
    config = Mask2FormerConfig(num_labels=CLASSES, **values)
    return Mask2FormerLoss(config, WEIGHTS)


def halves(left=0, right=2):
    """Return a label of two classes side by side, `(1, 8, 8)`."""
    label = torch.full((1, SIDE, SIDE), left)
    label[..., SIDE // 2 :] = right
    return label


def answer(seed=0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    return Masks(
        torch.randn(1, QUERIES, CLASSES + 1, generator=generator, dtype=dtype),
        2 * torch.randn(1, QUERIES, SIDE, SIDE, generator=generator, dtype=dtype),
    )


def terms(masks, label, **changes):
    torch.manual_seed(0)
    return matching_loss(criterion(**changes), masks, label)


def costs(masks, label, classes):
    """Return the published costs of each query and class over all cells, `(Q, C)`, in numpy."""
    p = masks.classes[0].double().softmax(1).numpy()
    m = masks.masks[0].double().flatten(1).numpy()
    s = 1 / (1 + np.exp(-m))
    found = np.zeros((len(p), len(classes)))
    for column, one in enumerate(classes):
        t = (label[0] == one).flatten().double().numpy()
        cross = -(t * np.log(s) + (1 - t) * np.log(1 - s)).mean(1)
        dice = 1 - (2 * (s * t).sum(1) + 1) / (s.sum(1) + t.sum() + 1)
        found[:, column] = 2 * -p[:, one] + 5 * cross + 5 * dice
    return found


def moved_queries(masks, label):
    """Return the queries whose masks the loss moves: those that were matched."""
    grown = Masks(masks.classes, masks.masks.clone().requires_grad_())
    found = terms(grown, label)
    (slope,) = torch.autograd.grad(found["mask_dice"], grown.masks)
    return slope[0].abs().flatten(1).sum(1).nonzero()[:, 0].tolist()


@pytest.mark.parametrize("seed", range(5))
def test_the_queries_that_learn_are_those_of_scipys_assignment(seed):
    """Wide masks of one cell's size and many points: the sampled costs are those of all cells."""
    masks = answer(seed)
    smooth = torch.nn.functional.avg_pool2d(masks.masks, 3, 1, 1)
    masks = Masks(masks.classes, 6 * smooth)
    label = halves()
    rows, _ = linear_sum_assignment(costs(masks, label, (0, 2)))
    assert moved_queries(masks, label) == sorted(rows.tolist())


def flat(values):
    """Return masks that say the same logit at every cell, so that where points lie is no matter."""
    return torch.tensor(values)[None, :, None, None].expand(1, -1, SIDE, SIDE).contiguous()


def test_the_terms_of_a_case_worked_out_by_hand(monkeypatch):
    """One class everywhere: query 1 is sure of it and covers all; the rest say little.

    All points lie in the middle: at the border the library mixes zeros into what they read.
    """
    monkeypatch.setattr(torch, "rand", lambda *size, device=None: torch.full(size, 0.5))
    classes = torch.zeros(1, 3, CLASSES + 1)
    classes[0, 1, 3] = 2.0
    masks = Masks(classes, flat([-3.0, 3.0, -3.0]))
    label = torch.full((1, SIDE, SIDE), 3)
    found = terms(masks, label)
    own = math.log(math.exp(2) + CLASSES) - 2  # of class 3 among five
    others = math.log(CLASSES + 1)  # of "no object", which weighs 0.1
    assert found["query_classes"].item() == pytest.approx(
        2 * (own + 2 * 0.1 * others) / 1.2, rel=1e-5
    )
    assert found["mask_cross_entropy"].item() == pytest.approx(
        5 * math.log(1 + math.exp(-3)), rel=1e-5
    )
    s, points = 1 / (1 + math.exp(-3)), 4096
    dice = 1 - (2 * s * points + 1) / (s * points + points + 1)
    assert found["mask_dice"].item() == pytest.approx(5 * dice, rel=1e-4)


def test_a_further_class_is_one_like_the_others():
    """As a detector adds it: for five classes the loss is that of a network built for five."""
    masks = Masks(torch.randn(1, QUERIES, CLASSES + 2), answer().masks)
    label = halves(1, CLASSES)
    found = terms(masks, label)
    torch.manual_seed(0)
    wider = Mask2FormerLoss(
        Mask2FormerConfig(
            num_labels=CLASSES + 1, train_num_points=4096, importance_sample_ratio=0.0
        ),
        WEIGHTS,
    )
    expected = matching_loss(wider, masks, label)
    for name, one in found.items():
        assert one.item() == pytest.approx(expected[name].item())
    grown = for_classes(wider, CLASSES + 3)
    assert grown.empty_weight.tolist() == pytest.approx([1.0] * 7 + [0.1])
    assert wider.num_labels == CLASSES + 1
    assert len(wider.empty_weight) == CLASSES + 2


def test_no_object_pushes_matched_masks_away_and_a_negative_does_not():
    """A query covers all; its mask learns to leave cells without an object, and no others."""
    classes = torch.zeros(1, 3, CLASSES + 1)
    classes[0, 1, 0] = 5.0
    corner = np.s_[0, 1, :3, :3]
    slopes = {}
    for name, value in (("no object", CLASSES), ("negative", NEGATIVE), ("ignored", IGNORE)):
        masks = Masks(classes, flat([-1.0, 3.0, -1.0]).requires_grad_())
        label = torch.zeros(1, SIDE, SIDE, dtype=torch.int64)
        label[0, :3, :3] = value
        found = terms(masks, label)
        slopes[name] = torch.autograd.grad(found["mask_cross_entropy"], masks.masks)[0]
    assert (slopes["no object"][corner] > 0).all()
    assert (slopes["no object"][0, 1, 4:-1, 4:-1] < 0).all()
    for name in ("negative", "ignored"):
        assert (slopes[name][corner] == 0).all()


def test_an_image_that_shows_no_class_is_left_out():
    masks = Masks(*(one.requires_grad_() for one in (answer().classes, answer().masks)))
    found = terms(masks, torch.full((1, SIDE, SIDE), CLASSES))
    assert all(one.item() == 0 for one in found.values())
    sum(found.values()).backward()
    assert (masks.masks.grad == 0).all()


def test_slopes_are_those_of_finite_differences():
    """Along a random direction, with the same points, in the masks and in the classes."""
    start, way = answer(0), answer(1)
    label = halves()

    def loss(step):
        masks = Masks(start.classes + step * way.classes, start.masks + step * way.masks)
        return sum(terms(masks, label).values()).double()

    step = torch.zeros((), requires_grad=True)
    (slope,) = torch.autograd.grad(loss(step), step)
    difference = (loss(torch.tensor(2e-3)) - loss(torch.tensor(-2e-3))) / 4e-3
    assert slope.item() == pytest.approx(difference.item(), rel=1e-2)
