"""The maps against closed forms, and their scale against what the public code does."""

import math

import pytest
import torch

from roadanomaly.detectors.resynthesis.uncertainty import (
    RangeScale,
    perceptual_difference,
    softmax_distance,
    softmax_entropy,
)


def logits_of(*probabilities):
    return torch.tensor(probabilities).log().view(1, -1, 1, 1)


def test_entropy_is_the_closed_form():
    assert softmax_entropy(torch.zeros(1, 19, 1, 1)).item() == pytest.approx(math.log(19))
    expected = -(0.5 * math.log(0.5) + 0.3 * math.log(0.3) + 0.2 * math.log(0.2))
    assert softmax_entropy(logits_of(0.5, 0.3, 0.2)).item() == pytest.approx(expected, rel=1e-6)


def test_zero_times_log_zero_is_zero():
    """Also where a logit is minus infinity, as the logarithm of no evidence is."""
    sure = torch.tensor([1e4, -1e4, 0.0]).view(1, 3, 1, 1)
    assert softmax_entropy(sure).item() == 0
    assert softmax_entropy(logits_of(0.5, 0.5, 0.0)).item() == pytest.approx(math.log(2))


def test_distance_is_one_minus_the_margin():
    assert softmax_distance(logits_of(0.6, 0.1, 0.3)).item() == pytest.approx(0.7)
    assert softmax_distance(logits_of(0.45, 0.45, 0.1)).item() == pytest.approx(1.0)
    assert softmax_distance(torch.tensor([1e4, 0.0]).view(1, 2, 1, 1)).item() == 0


def test_perceptual_difference_is_the_mean_over_levels_of_mean_absolute_differences():
    generator = torch.Generator().manual_seed(0)
    one = [torch.rand(2, 3, 4, 6, generator=generator) for _ in range(2)]
    other = [torch.rand(2, 3, 4, 6, generator=generator) for _ in range(2)]
    found = perceptual_difference(one, other, (4, 6))
    expected = sum((a - b).abs().sum(1) / 3 for a, b in zip(one, other, strict=True)) / 2
    torch.testing.assert_close(found, expected)
    coarse = [torch.full((1, 5, 2, 2), 2.0)], [torch.full((1, 5, 2, 2), 0.5)]
    assert perceptual_difference(*coarse, (8, 8)).unique().tolist() == [1.5]


def test_the_scale_is_that_of_the_data_set_not_of_the_image():
    """An image without any uncertainty stays dark, however small its own range is."""
    scale = RangeScale([0.0], [1.0])
    spread = torch.linspace(1, 3, 5000).view(1, 1, 50, 100)
    scale.update(spread)
    empty = torch.linspace(1.0, 1.1, 5000).view(1, 1, 50, 100)
    assert scale(empty).max() < 0.06
    assert scale(spread).max() == 1
    alone, together = scale(empty), scale(torch.cat([empty, spread]))
    torch.testing.assert_close(alone[0], together[0])


def test_it_divides_by_the_range():
    """Values of 1 to 3 become 0 to 1; divided by the maximum, as published, 0 to 2/3."""
    scale = RangeScale([0.0], [1.0])
    scale.update(torch.linspace(1, 3, 10_001).view(1, 1, 73, 137))
    low, high = 1 + 2 * 0.01, 1 + 2 * 0.99
    assert scale.low.item() == pytest.approx(low, abs=1e-3)
    assert scale.high.item() == pytest.approx(high, abs=1e-3)
    assert scale(torch.full((1, 1, 1, 1), 2.0)).item() == pytest.approx(0.5, abs=1e-3)


def test_statistics_are_means_over_all_images_whatever_the_batches():
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(5, 2, 30, 40, generator=generator) * torch.arange(1, 6).view(5, 1, 1, 1)
    whole, parts = RangeScale([9.0, 9.0], [0.0, 0.0]), RangeScale([0.0, 0.0], [1.0, 1.0])
    whole.update(images)
    for part in images.split((1, 3, 1)):
        parts.update(part)
    for name in ("low", "high", "images"):
        torch.testing.assert_close(getattr(whole, name), getattr(parts, name))
    expected = images.flatten(2).quantile(0.99, dim=2).mean(0)
    torch.testing.assert_close(whole.high, expected)
