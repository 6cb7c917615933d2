"""The steps of a diffusion and the terms of its bound, against distributions."""

from __future__ import annotations

import math

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from roadanomaly.detectors.pixels.ddpm import shares
from roadanomaly.diffusion.image_denoiser import ImageDenoiser
from roadanomaly.diffusion.schedule import Schedule
from roadanomaly.diffusion.vector_denoiser import VectorDenoiser
from roadanomaly.errors import OptionError


def step_divergence(schedule, step, x, noisy, told):
    """`KL(q(x_(t-1) | x_t, x) || p(x_(t-1) | x_t))` by the posterior's formula, `(N,)` nats."""
    b = schedule.variance.double()[step - 1]
    kept = (1 - schedule.variance.double()).cumprod(0)
    now, before = kept[step - 1], kept[step - 2]
    spread = ((1 - before) / (1 - now) * b).sqrt()

    def mean(clean):
        return (
            before.sqrt() * b / (1 - now) * clean
            + (1 - b).sqrt() * (1 - before) / (1 - now) * noisy
        )

    clean = (noisy - (1 - now).sqrt() * told) / now.sqrt()
    return kl_divergence(Normal(mean(x), spread), Normal(mean(clean), spread)).sum(1)


def finer_weights(schedule):
    """Weights of the squared errors in the limit of ever finer steps, `ln(s_(t-1) / s_t) / 2`."""
    kept = schedule.kept.double()
    signal = kept / (1 - kept)
    return (signal[:-1] / signal[1:]).log() / 2


@pytest.mark.parametrize("steps", [20, 1000])
def test_terms_are_divergences_positive_and_above_the_denoising_bounds(steps):
    """Features that are normal, so the best denoiser is known: `e' = sqrt(1 - a) x_t`."""
    schedule = Schedule(steps)
    torch.manual_seed(0)
    x, noise = torch.randn(64, 5).double(), torch.randn(64, 5).double()
    bound, finer = schedule.bound_weights(), finer_weights(schedule)
    total = total_finer = 0.0
    for step in (2, 3, steps // 2, steps):
        at = torch.full((64,), step)
        noisy = schedule.noised(x, at, noise)
        told = (1 - schedule.kept.double()[step - 1]).sqrt() * noisy
        error = (noise - told).square().sum(1)
        expected = step_divergence(schedule, step, x, noisy, told)
        torch.testing.assert_close(bound[step - 2] * error, expected, rtol=2e-3, atol=1e-6)
        assert (expected > 0).all()
        total += (bound[step - 2] * error).mean()
        total_finer += (finer[step - 2] * error).mean()
    assert total > total_finer > 0
    assert (bound > finer).all()


def test_the_bound_of_normal_data_lies_above_their_entropy_and_the_denoising_bound_at_it():
    """`-E ln p(x) = n/2 ln(2 pi e)`; divergences of 1000 steps have a gap."""
    schedule = Schedule(1000)
    torch.manual_seed(0)
    x = torch.randn(4000, 2)
    bound = finer = 0.0
    weights = zip(schedule.bound_weights().tolist(), finer_weights(schedule).tolist(), strict=True)
    for step, (weight, less) in enumerate(weights, start=2):
        noise = torch.randn_like(x)
        noisy = schedule.noised(x, torch.full((len(x),), step), noise)
        told = (1 - schedule.kept[step - 1]).sqrt() * noisy
        error = (noise - told).square().sum(1).mean()
        bound, finer = bound + weight * error, finer + less * error
    noise = torch.randn_like(x)
    noisy = schedule.noised(x, torch.ones(len(x), dtype=torch.int64), noise)
    mean, deviation = schedule.first_mean(noisy, (1 - schedule.kept[0]).sqrt() * noisy)
    rest = schedule.last_term(x).mean() - Normal(mean, deviation).log_prob(x).sum(1).mean()
    entropy = math.log(2 * math.pi * math.e)
    assert abs(finer + rest - entropy) < 0.1
    assert entropy < bound + rest < entropy + 1.5


def test_the_last_term_is_a_divergence_from_noise():
    schedule = Schedule(20)
    x = torch.randn(3, 4)
    kept = schedule.kept[-1]
    expected = kl_divergence(Normal(kept.sqrt() * x, (1 - kept).sqrt()), Normal(0.0, 1.0)).sum(1)
    torch.testing.assert_close(schedule.last_term(x), expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("terms", [1, 4, 19])
def test_chosen_steps_carry_all_weights(terms):
    weights = Schedule(20).bound_weights()
    pairs = shares(weights, terms)
    steps = [step for step, _ in pairs]
    assert steps == sorted(set(steps))
    assert 2 <= steps[0] <= steps[-1] <= 20
    assert sum(weight for _, weight in pairs) == pytest.approx(float(weights.sum()), rel=1e-5)
    if terms == 19:
        torch.testing.assert_close(torch.tensor([weight for _, weight in pairs]), weights)


def test_denoisers_keep_shapes_and_hear_the_step():
    vectors = VectorDenoiser(5, 8, 2)
    x, step = torch.randn(7, 3, 5), torch.tensor([1, 9, 30])
    assert vectors(x, step).shape == x.shape
    same = vectors(x[:, :1].expand(-1, 3, -1), step)
    assert not torch.allclose(same[:, 0], same[:, 1])
    image = torch.randn(2, 3, 8, 12)
    network = ImageDenoiser(3, [4, 8, 8])
    assert network(image, torch.tensor([1, 2])).shape == image.shape


def test_a_diffusion_of_one_step_is_refused():
    with pytest.raises(OptionError, match="2 steps or more"):
        Schedule(1)
