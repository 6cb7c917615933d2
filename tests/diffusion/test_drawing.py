"""Images out of noise, where the best denoiser is known."""

from __future__ import annotations

import torch

from roadanomaly.diffusion.drawing import denoised
from roadanomaly.diffusion.schedule import Schedule


def test_normal_data_are_drawn_with_their_mean_and_deviation():
    """The noise in `sqrt(a) x + sqrt(1 - a) e`, with x of N(m, s^2), is known in closed form."""
    schedule, mean, deviation = Schedule(1000), 0.2, 0.2

    def denoiser(noisy, step):
        kept = schedule.kept[step - 1][:, None]
        variance = kept * deviation**2 + 1 - kept
        return (1 - kept).sqrt() * (noisy - kept.sqrt() * mean) / variance

    noise = torch.randn(4000, 1, generator=torch.Generator().manual_seed(0))
    drawn = denoised(denoiser, schedule, noise, 500)
    assert abs(drawn.mean().item() - mean) < 0.02
    assert abs(drawn.std().item() / deviation - 1) < 0.05


def test_one_pass_is_what_the_last_step_predicts():
    schedule = Schedule(10)
    noise = torch.randn(3, 2, generator=torch.Generator().manual_seed(0))
    drawn = denoised(lambda noisy, step: noisy / 2, schedule, noise, 1)
    kept = schedule.kept[-1]
    expected = (noise - (1 - kept).sqrt() * noise / 2) / kept.sqrt()
    torch.testing.assert_close(drawn, expected.clamp(-1, 1))
