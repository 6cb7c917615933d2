"""Activation normalisation: a scale and a shift of each channel, started from the first batch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from roadanomaly.flows.layer import Layer

LEAST_DEVIATION = 1e-3
"""A channel that hardly varies in the first batch is not blown up beyond this."""


class ActNorm(Layer):
    """`y = (x + shift) * exp(log_scale)`, channel by channel.

    The first batch that is seen in training mode sets both so that `y` has mean 0 and deviation 1;
    from then on they are ordinary parameters. Each process sets its own: who trains in several
    starts the layers on the same batch in all of them first.

    Args:
        channels: of the input.

    Attributes:
        settled: whether `started` is known to hold, and is not asked again: on a GPU each question
            waits for the device.

    Source: Kingma and Dhariwal, 2018, Glow, section 3.1.
    """

    started: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.log_scale = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.register_buffer("started", torch.tensor(False))
        self.settled = False

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return `(x + shift) * exp(log_scale)` and `H W sum(log_scale)`."""
        if self.training and not self.settled:
            if not self.started:
                self._start(x.detach())
            self.settled = True
        pixels = x.shape[-2] * x.shape[-1]
        log_det = (pixels * self.log_scale.sum()).expand(len(x))
        return (x + self.shift) * self.log_scale.exp(), log_det

    def inverse(self, y: Tensor) -> Tensor:
        """Return `y * exp(-log_scale) - shift`."""
        return y * (-self.log_scale).exp() - self.shift

    def _load_from_state_dict(self, *given: Any) -> None:
        super()._load_from_state_dict(*given)
        self.settled = False

    @torch.no_grad()
    def _start(self, x: Tensor) -> None:
        mean, square = x.mean((0, 2, 3)), x.square().mean((0, 2, 3))
        deviation = (square - mean.square()).clamp_min(0).sqrt()
        if x.numel() == x.shape[1]:  # one pixel of one image has no deviation
            deviation = torch.ones_like(deviation)
        self.shift.copy_(-mean.view_as(self.shift))
        self.log_scale.copy_(-deviation.clamp_min(LEAST_DEVIATION).log().view_as(self.shift))
        self.started.fill_(True)
