"""How noise grows step by step, and what each step adds to the bound on the likelihood."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from roadanomaly.errors import OptionError

FIRST, LAST = 1e-4, 0.02
"""Variances of the first and the last of 1000 steps; of fewer steps, the share that is as much."""


class Schedule(nn.Module):
    """`x_t = sqrt(a_t) x + sqrt(1 - a_t) e`, with a_t the product of `1 - b_s` up to t.

    The variances b rise linearly. Steps are numbered from 1 to `steps`; index `t - 1`.

    Args:
        steps: T, at least 2.

    Raises:
        OptionError: fewer steps.

    Source: Ho et al., 2020, Denoising Diffusion Probabilistic Models, sections 2 and 3.
    """

    variance: Tensor
    kept: Tensor
    ratio: Tensor

    def __init__(self, steps: int) -> None:
        super().__init__()
        if steps < 2:
            msg = f"a diffusion has 2 steps or more, not {steps}."
            raise OptionError(msg)
        scale = 1000 / steps
        rising = torch.linspace(FIRST * scale, LAST * scale, steps, dtype=torch.float64)
        rising = rising.clamp_max(0.999)
        kept = (1 - rising).cumprod(0)
        signal = kept / (1 - kept)
        self.register_buffer("variance", rising.float(), persistent=False)
        self.register_buffer("kept", kept.float(), persistent=False)
        ratio = torch.cat([signal.new_ones(1), signal[:-1] / signal[1:]])
        self.register_buffer("ratio", ratio.float(), persistent=False)

    def __len__(self) -> int:
        return len(self.variance)

    def noised(self, x: Tensor, step: Tensor, noise: Tensor) -> Tensor:
        """Return `x_t`.

        Args:
            x: `(N, ...)`.
            step: `(N,)` int64, t from 1 on.
            noise: as `x`, standard normal.
        """
        kept = self.kept[step - 1].view(-1, *[1] * (x.dim() - 1))
        return kept.sqrt() * x + (1 - kept).sqrt() * noise

    def bound_weights(self) -> Tensor:
        """Return what `|e - e'|^2` of steps 2 to T is multiplied by for their KL terms, `(T - 1,)`.

        With the posterior's own variance, `KL(q(x_(t-1) | x_t, x) || p(x_(t-1) | x_t))` is
        `(s_(t-1) / s_t - 1) / 2` times that squared error, s being `a / (1 - a)` (Kingma et al.,
        2021, Variational Diffusion Models, equation 14).
        """
        return (self.ratio[1:] - 1) / 2

    def last_term(self, x: Tensor) -> Tensor:
        """Return `KL(q(x_T | x) || N(0, 1))`, `(N,)` nats."""
        kept = self.kept[-1]
        spread = (-kept - torch.log1p(-kept)) * x[0].numel()
        return 0.5 * (kept * x.flatten(1).square().sum(1) + spread)

    def first_mean(self, x: Tensor, noise: Tensor) -> tuple[Tensor, float]:
        """Return mean and deviation of `p(x | x_1)`, given the predicted noise in `x_1`."""
        variance = self.variance[0]
        mean = (x - variance.sqrt() * noise) / (1 - variance).sqrt()
        return mean, math.sqrt(FIRST * 1000 / len(self))


def time_code(step: Tensor, channels: int) -> Tensor:
    """Return sines and cosines of steps, `(N, channels)`; `channels` even.

    Source: Vaswani et al., 2017, Attention Is All You Need, section 3.5.
    """
    half = channels // 2
    rate = torch.exp(-math.log(10000.0) / half * torch.arange(half, device=step.device))
    angle = step[:, None].float() * rate
    return torch.cat([angle.sin(), angle.cos()], 1)
