"""Images out of noise, by a denoiser in few steps."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from roadanomaly.diffusion.schedule import Schedule


@torch.no_grad()
def denoised(
    denoiser: Callable[[Tensor, Tensor], Tensor], schedule: Schedule, noise: Tensor, passes: int
) -> Tensor:
    """Return what a denoiser makes of pure noise, without further chance.

    Args:
        denoiser: takes `x_t` and steps `(N,)`, returns the noise in it.
        schedule: that it learned with.
        noise: `(N, ...)`, standard normal.
        passes: of the denoiser, at most the schedule's steps, evenly spaced over them.

    Returns:
        as `noise`, in -1..1.

    Source: Song et al., 2021, Denoising Diffusion Implicit Models, equation 12 with sigma = 0; the
    image that a step predicts is clipped to -1..1, as usual.
    """
    steps = torch.linspace(len(schedule), 1, passes).round().long().tolist()
    x = clean = noise
    for step, then in zip(steps, [*steps[1:], 0], strict=True):
        at = torch.full((len(x),), step, dtype=torch.int64, device=x.device)
        found = denoiser(x, at).float()
        kept = schedule.kept[step - 1]
        clean = ((x - (1 - kept).sqrt() * found) / kept.sqrt()).clamp(-1, 1)
        if then:
            left = schedule.kept[then - 1]
            x = left.sqrt() * clean + (1 - left).sqrt() * found
    return clean
