"""Losses against closed forms, the penalty against finite differences, spectral norms by SVD."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from roadanomaly.errors import OptionError
from roadanomaly.generators.base import one_hot
from roadanomaly.generators.discriminators import Discriminators
from roadanomaly.generators.losses import (
    adversarial_loss,
    discriminator_loss,
    feature_matching,
    gradient_penalty,
    label_agreement,
    perceptual_distance,
)


def scores(*values):
    return [[torch.zeros(1), torch.tensor(value)] for value in values]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("hinge", (((0 + 2) / 2 + (0 + 1.5) / 2) + (2 + 0)) / 2),
        ("lsgan", (((1 + 4) / 2 + (9 + 0.25) / 2) / 2 + (4 + 4) / 2) / 2),
    ],
)
def test_what_discriminators_minimise(kind, expected):
    real, fake = scores([2.0, -1.0], [-1.0]), scores([-3.0, 0.5], [-2.0])
    assert discriminator_loss(real, fake, kind).item() == pytest.approx(expected)


@pytest.mark.parametrize(("kind", "expected"), [("hinge", 1.625), ("lsgan", (8.125 + 9) / 2)])
def test_what_the_generator_minimises(kind, expected):
    fake = scores([-3.0, 0.5], [-2.0])
    assert adversarial_loss(fake, kind).item() == pytest.approx(expected)


def test_feature_matching_sums_layers_and_averages_scales():
    real = [[torch.zeros(2), torch.ones(3), torch.zeros(1)], [torch.zeros(2), torch.zeros(2)]]
    fake = [[torch.full((2,), 2.0), torch.zeros(3), torch.ones(1)], [torch.ones(2), torch.ones(2)]]
    assert feature_matching(fake, real).item() == pytest.approx(((2 + 1) + 1) / 2)


def test_the_real_maps_get_no_gradient():
    real, fake = torch.ones(3, requires_grad=True), torch.zeros(3, requires_grad=True)
    loss = feature_matching([[fake, fake]], [[real, real]]) + perceptual_distance([fake], [real])
    loss.backward()
    assert real.grad is None
    assert fake.grad is not None


def test_perceptual_distance_is_relative():
    real = [torch.tensor([1.0, -3.0]), torch.tensor([10.0])]
    fake = [torch.tensor([2.0, -3.0]), torch.tensor([5.0])]
    assert perceptual_distance(fake, real).item() == pytest.approx((0.5 / 2 + 0.5) / 2)
    scaled = [[100 * one for one in maps] for maps in (fake, real)]
    assert perceptual_distance(*scaled).item() == pytest.approx((0.5 / 2 + 0.5) / 2)


def test_label_agreement_weighs_each_class_of_the_batch_alike():
    logits, labels = torch.randn(2, 3, 4, 5), torch.randint(0, 2, (2, 4, 5), dtype=torch.uint8)
    labels[0, 0], labels[1, 0] = 255, 254
    share = logits.double().softmax(1)
    classes = []
    for wanted in (0, 1):
        places = (labels == wanted).nonzero().tolist()
        classes.append(sum(-share[b, wanted, y, x].log() for b, y, x in places) / len(places))
    expected = (classes[0] + classes[1]) / 2
    torch.testing.assert_close(label_agreement(logits, labels).double(), expected)
    assert label_agreement(logits, torch.full_like(labels, 255)) == 0


def test_the_penalty_is_half_the_squared_slope():
    judge = Discriminators(3, width=4, layers=1, scales=2, spectral=False).double()
    layout = one_hot(torch.randint(0, 3, (1, 8, 8)), 3).double()
    image = torch.rand(1, 3, 8, 8, dtype=torch.float64, requires_grad=True)

    def total(x):
        return sum(maps[-1].sum() for maps in judge(layout, x))

    found = gradient_penalty(judge(layout, image), image)
    step, slope = 1e-5, torch.zeros(image.numel(), dtype=torch.float64)
    with torch.no_grad():
        for place in range(image.numel()):
            moved = torch.zeros(image.numel(), dtype=torch.float64)
            moved[place] = step
            shift = moved.view_as(image)
            slope[place] = (total(image + shift) - total(image - shift)) / (2 * step)
    assert found.item() == pytest.approx(slope.square().sum().item() / 2, rel=1e-5)
    found.backward()
    assert judge.scales[0].layers[0][0].weight.grad.abs().sum() > 0


def test_spectral_normalisation_bounds_every_weight():
    judge = Discriminators(3, width=4, layers=2, scales=1).train()
    layout, image = one_hot(torch.randint(0, 3, (1, 16, 16)), 3), torch.rand(1, 3, 16, 16)
    for _ in range(60):
        judge(layout, image)
    for layer in judge.scales[0].layers:
        matrix = layer[0].weight.detach().flatten(1)
        assert torch.linalg.matrix_norm(matrix, 2).item() == pytest.approx(1, abs=0.02)


def test_each_scale_sees_half_the_size():
    judge = Discriminators(3, width=4, layers=3, scales=2, spectral=False)
    found = judge(one_hot(torch.randint(0, 3, (2, 64, 96)), 3), torch.rand(2, 3, 64, 96))
    assert [len(maps) for maps in found] == [5, 5]
    assert found[0][0].shape == (2, 4, 33, 49)
    assert found[1][0].shape == (2, 4, 17, 25)
    assert found[0][-1].shape[1] == 1


def test_the_size_is_the_published_one():
    """pix2pixHD's code prints 5.6 million for Cityscapes: 39 inputs, two scales."""
    found = sum(p.numel() for p in Discriminators(35, spectral=False).parameters())
    widths, expected = (39, 64, 128, 256, 512, 1), 0
    for before, after in pairwise(widths):
        expected += 16 * before * after + after
    assert found == 2 * expected


@pytest.mark.parametrize("options", [{"width": 0}, {"layers": 0}, {"scales": 0}])
def test_sizes_out_of_range_are_refused(options):
    with pytest.raises(OptionError, match="at least 1"):
        Discriminators(3, **options)
