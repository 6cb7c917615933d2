"""Layers that rearrange: pixels into channels, half of the channels into finished latents."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from roadanomaly.flows.layer import Layer
from roadanomaly.flows.networks import from_zero


class Squeeze(Layer):
    """Blocks of 2x2 pixels become four channels; nothing is stretched."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """`(B, C, H, W)` to `(B, 4 C, H / 2, W / 2)`."""
        return pixel_unshuffle(x, 2), x.new_zeros(len(x))

    def inverse(self, y: Tensor) -> Tensor:
        """`(B, 4 C, H, W)` to `(B, C, 2 H, 2 W)`."""
        return pixel_shuffle(y, 2)


class FactorOut(nn.Module):
    """Half of the channels go on; the rest become latents, standardised by what goes on.

    The prior of the finished half is a normal whose mean and log-deviation a 3x3 convolution reads
    off the other half. Dividing by it here leaves all latents standard normal.

    Args:
        channels: of the input, even.
        bound: largest log-deviation.

    Source: Dinh et al., 2017, Density Estimation using Real NVP, section 3.6; the learned prior as
    in Glow.
    """

    def __init__(self, channels: int, bound: float = 2.0) -> None:
        super().__init__()
        self.bound = bound
        self.kept = channels - channels // 2
        self.prior = from_zero(nn.Conv2d(self.kept, 2 * (channels // 2), 3, padding=1))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return what goes on, the latents, and the log-determinant `(B,)`."""
        kept, leaving = x[:, : self.kept], x[:, self.kept :]
        mean, log_deviation = self._prior(kept)
        latents = (leaving - mean) * (-log_deviation).exp()
        return kept, latents, -log_deviation.flatten(1).sum(1)

    def inverse(self, kept: Tensor, latents: Tensor) -> Tensor:
        """Return the input of `forward`."""
        mean, log_deviation = self._prior(kept)
        return torch.cat([kept, latents * log_deviation.exp() + mean], 1)

    def _prior(self, kept: Tensor) -> tuple[Tensor, Tensor]:
        mean, raw = self.prior(kept).chunk(2, 1)
        return mean, self.bound * (raw / self.bound).tanh()


class Shift(Layer):
    """`y = x - 0.5`: pixels in 0..1 become centred."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return `x - 0.5`."""
        return x - 0.5, x.new_zeros(len(x))

    def inverse(self, y: Tensor) -> Tensor:
        """Return `y + 0.5`."""
        return y + 0.5


class Logit(Layer):
    """`y = logit(a + (1 - 2 a) x)`: what comes back lies within `a / (1 - 2 a)` of 0..1.

    Args:
        margin: `a`, above 0 so that 0 and 1 stay finite.

    Source: Dinh et al., 2017, Density Estimation using Real NVP, section 4.1.
    """

    def __init__(self, margin: float = 0.05) -> None:
        super().__init__()
        self.margin = margin

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits."""
        inside = self.margin + (1 - 2 * self.margin) * x
        slope = (1 - 2 * self.margin) / (inside * (1 - inside))
        return inside.logit(), slope.log().flatten(1).sum(1)

    def inverse(self, y: Tensor) -> Tensor:
        """Return the pixels."""
        return (y.sigmoid() - self.margin) / (1 - 2 * self.margin)
