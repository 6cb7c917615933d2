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

    Whether that has happened is a plain value, since a GPU has to be waited for when it is asked;
    the buffer `started` keeps it in the saved state. The buffer is asked where something was
    written into it since, as by a copy from another process.

    Args:
        channels: of the input.

    Attributes:
        settled: whether the first batch is known to have been seen.

    Source: Kingma and Dhariwal, 2018, Glow, section 3.1.
    """

    started: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.log_scale = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.register_buffer("started", torch.tensor(False))
        self._know(False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return `(x + shift) * exp(log_scale)` and `H W sum(log_scale)`."""
        if self.training and not self.is_started():
            self._start(x.detach())
        pixels = x.shape[-2] * x.shape[-1]
        log_det = (pixels * self.log_scale.sum()).expand(len(x))
        return (x + self.shift) * self.log_scale.exp(), log_det

    def inverse(self, y: Tensor) -> Tensor:
        """Return `y * exp(-log_scale) - shift`."""
        return y * (-self.log_scale).exp() - self.shift

    def is_started(self) -> bool:
        """Return whether the first batch was seen."""
        written = _times_written(self.started)
        if not self.settled and (written is None or written != self._written):
            self._know(bool(self.started))
        return self.settled

    def _know(self, started: bool) -> None:
        """Remember what the buffer holds, and how often it has been written so far."""
        self.settled, self._written = started, _times_written(self.started)

    def _apply(self, *given: Any, **named: Any) -> ActNorm:
        """Move or convert the layer; another tensor, which was never written, takes the place."""
        started = self.is_started()
        super()._apply(*given, **named)
        self._know(started)
        return self

    def _load_from_state_dict(self, *given: Any) -> None:
        super()._load_from_state_dict(*given)
        self._know(bool(self.started))

    @torch.no_grad()
    def _start(self, x: Tensor) -> None:
        mean, square = x.mean((0, 2, 3)), x.square().mean((0, 2, 3))
        deviation = (square - mean.square()).clamp_min(0).sqrt()
        if x.numel() == x.shape[1]:  # one pixel of one image has no deviation
            deviation = torch.ones_like(deviation)
        self.shift.copy_(-mean.view_as(self.shift))
        self.log_scale.copy_(-deviation.clamp_min(LEAST_DEVIATION).log().view_as(self.shift))
        self.started.fill_(True)
        self._know(True)


def _times_written(buffer: Tensor | bool) -> int | None:
    """Return PyTorch's count; of a tensor that was made in inference mode there is none.

    Nor is there one where a graph to be exported holds the flag as a constant.
    """
    if isinstance(buffer, bool) or buffer.is_inference():
        return None
    return buffer._version
