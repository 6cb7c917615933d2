"""Cross-unit coupling: noise channels, shaped by earlier features, that widen a flow."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from roadanomaly.flows.layer import Chain, normal_log_density
from roadanomaly.flows.networks import from_zero


class CrossUnit(nn.Module):
    """Appends `mean(g) + exp(log_deviation(g)) noise` to the channels of a flow.

    g are the inputs of all units before. The density of `x` is then bounded from below by that of
    `x` with its noise over the density of the noise; the inverse drops the channels.

    Args:
        seen: channels of g.
        growth: channels that are appended.
        bound: largest log-deviation.

    Source: Grcic, Grubisic, Segvic, 2021, Densely Connected Normalizing Flows, section 3.2. The
    network is normalisation, ReLU and one convolution; the public code has two convolutions, four
    times as wide between, which adds 0.1 M parameters to DenseFlow-25-6.
    """

    def __init__(self, seen: int, growth: int, bound: float = 2.0) -> None:
        super().__init__()
        self.bound = bound
        last = from_zero(nn.Conv2d(seen, 2 * growth, 3, padding=1))
        self.network = nn.Sequential(nn.GroupNorm(1, seen), nn.ReLU(), last)

    def forward(self, x: Tensor, seen: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Return the widened `x` and `sum(log_deviation) - ln N(noise)` `(B,)`."""
        mean, raw = self.network(seen).chunk(2, 1)
        log_deviation = self.bound * (raw / self.bound).tanh()
        gain = log_deviation.flatten(1).sum(1) - normal_log_density(noise)
        return torch.cat([x, mean + log_deviation.exp() * noise], 1), gain


class DenseBlock(nn.Module):
    """Units of flow at one scale; between them the channels grow by noise.

    Args:
        units: chains of layers, each `growth` channels wider than the one before.
        channels: of the input.
        growth: channels that are appended between units.
    """

    def __init__(self, units: Sequence[Chain], channels: int, growth: int) -> None:
        super().__init__()
        self.units = nn.ModuleList(units)
        self.channels = channels
        self.growth = growth
        widths = [channels + number * growth for number in range(len(units))]
        self.links = nn.ModuleList(
            CrossUnit(sum(widths[: number + 1]), growth) for number in range(len(units) - 1)
        )

    def forward(self, x: Tensor, noise: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Return the widened latents and what to add to their log-density.

        Args:
            x: `(B, channels, H, W)`.
            noise: one `(B, growth, H, W)` between each two units.
        """
        x_in = [x]
        x, total = self.units[0](x)
        for link, unit, one in zip(self.links, self.units[1:], noise, strict=True):
            x, gain = link(x, torch.cat(x_in, 1), one)
            x_in.append(x)
            x, log_det = unit(x)
            total = total + gain + log_det
        return x, total

    def inverse(self, y: Tensor) -> Tensor:
        """Return the input of `forward`; the noise is dropped."""
        for number, unit in reversed(list(enumerate(self.units))):
            assert isinstance(unit, Chain)
            y = unit.inverse(y)[:, : self.channels + max(0, number - 1) * self.growth]
        return y
