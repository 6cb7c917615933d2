"""Densities of a map at several scales at once, each of which helps to explain the others."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from roadanomaly.errors import OptionError
from roadanomaly.flows.actnorm import ActNorm
from roadanomaly.flows.elementwise import Affine
from roadanomaly.flows.invertible1x1 import Invertible1x1
from roadanomaly.flows.layer import LOG_TWO_PI
from roadanomaly.flows.networks import from_zero

BOUND = 3.0
"""Largest log-scale of a coupling, as in CS-Flow's code."""


class ScaleFlow(nn.Module):
    """A joint density of `(B, C, H, W)` maps and of these averaged over 2x2, 4x4, ... cells.

    Steps of normalisation and mixing at each scale, and of a coupling whose networks see half of
    the channels of all scales. Everything is computed in float32.

    Args:
        channels: C, at least 2.
        steps: of the flow, each moving both halves of the channels.
        hidden: width of the couplings' networks.
        scales: how many.

    Raises:
        OptionError: fewer than 2 channels, no step or no scale.

    Source: Rudolph et al., 2022, Fully Convolutional Cross-Scale-Flows, section 3.2. Differs: the
    scales are those of one map and not maps of the image at three sizes, which would take three
    passes of the network; Glow's mixing instead of a fixed shuffle of the channels.
    """

    def __init__(self, channels: int, steps: int = 4, hidden: int = 64, scales: int = 3) -> None:
        super().__init__()
        if channels < 2 or min(steps, scales) < 1:
            msg = (
                "a flow of scales needs 2 channels, 1 step and 1 scale or more, not "
                f"{channels}, {steps} and {scales}."
            )
            raise OptionError(msg)
        self.channels, self.scales = channels, scales
        self.layers = nn.ModuleList(
            _Coupling(channels, hidden, scales, number % 2 == 1) for number in range(2 * steps)
        )

    def pyramid(self, x: Tensor) -> list[Tensor]:
        """Return a map and its means over blocks, from fine to coarse; blocks at borders shrink."""
        found = [x.float()]
        for _ in range(self.scales - 1):
            found.append(functional.avg_pool2d(found[-1], 2, ceil_mode=True))
        return found

    def transform(self, x: Tensor) -> tuple[list[Tensor], Tensor]:
        """Return the latents of a map's pyramid and `log_det`; see `encode`."""
        return self.encode(self.pyramid(x))

    def encode(self, maps: Sequence[Tensor]) -> tuple[list[Tensor], Tensor]:
        """Map scales to latents of the same shapes, standard normal under the model.

        Args:
            maps: `(B, C, h, w)` each, from fine to coarse.

        Returns:
            the latents, and `log_det` `(B,)` in nats of all scales together.
        """
        with torch.autocast(maps[0].device.type, enabled=False):
            found = list(maps)
            total = found[0].new_zeros(len(found[0]))
            for layer in self.layers:
                found, log_det = layer(found)
                total = total + log_det
        return found, total

    def inverse(self, latents: Sequence[Tensor]) -> list[Tensor]:
        """Return the scales of latents."""
        with torch.autocast(latents[0].device.type, enabled=False):
            found = list(latents)
            for layer in reversed(self.layers):
                assert isinstance(layer, _Coupling)
                found = layer.inverse(found)
        return found

    def log_prob(self, x: Tensor) -> Tensor:
        """Return `ln p` of a map's pyramid, `(B,)` nats."""
        latents, log_det = self.transform(x)
        return log_det - sum(_normal_cost(one).flatten(1).sum(1) for one in latents)

    def cost(self, x: Tensor) -> Tensor:
        """Return `-ln N(z)` of the latents at each location, `(B, H, W)`: the mean over scales."""
        size = (x.shape[-2], x.shape[-1])
        maps = [_normal_cost(one)[:, None] for one in self.transform(x)[0]]
        grown = [
            one if number == 0 else functional.interpolate(one, size=size, mode="bilinear")
            for number, one in enumerate(maps)
        ]
        return torch.stack(grown).mean(0)[:, 0]


class _Coupling(nn.Module):
    """Normalisation and mixing at each scale, then half of the channels move by the others."""

    def __init__(self, channels: int, hidden: int, scales: int, flipped: bool) -> None:
        super().__init__()
        cut = channels // 2
        first, last = slice(0, cut), slice(cut, channels)
        self.read, self.moved = (last, first) if flipped else (first, last)
        seen, changed = (channels - cut, cut) if flipped else (cut, channels - cut)
        self.norms = nn.ModuleList(ActNorm(channels) for _ in range(scales))
        self.mixings = nn.ModuleList(Invertible1x1(channels) for _ in range(scales))
        self.network = _CrossNetwork(seen, 2 * changed, hidden, scales)
        self.affine = Affine(BOUND)

    def forward(self, maps: Sequence[Tensor]) -> tuple[list[Tensor], Tensor]:
        """Return the moved scales and the log-determinant of all of them."""
        total = maps[0].new_zeros(len(maps[0]))
        mixed = []
        for one, norm, mixing in zip(maps, self.norms, self.mixings, strict=True):
            one, stretched = norm(one)
            one, turned = mixing(one)
            mixed.append(one)
            total = total + stretched + turned
        found = []
        for one, raw in zip(mixed, self._raw(mixed), strict=True):
            moved, slope = self.affine(one[:, self.moved], raw)
            found.append(self._put(one, moved))
            total = total + slope.flatten(1).sum(1)
        return found, total

    def inverse(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Undo it."""
        found = []
        parts = zip(maps, self._raw(maps), self.norms, self.mixings, strict=True)
        for one, raw, norm, mixing in parts:
            one = self._put(one, self.affine.inverse(one[:, self.moved], raw))
            found.append(norm.inverse(mixing.inverse(one)))  # type: ignore[operator]
        return found

    def _raw(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Return the parameters of the moved values, `(B, 2, C', h, w)` a scale."""
        answers = self.network([one[:, self.read] for one in maps])
        return [one.unflatten(1, (2, -1)) for one in answers]

    def _put(self, whole: Tensor, moved: Tensor) -> Tensor:
        kept = whole[:, self.read]
        return torch.cat([moved, kept] if self.moved.start == 0 else [kept, moved], 1)


class _CrossNetwork(nn.Module):
    """A convolution at each scale, then one that sums what each scale and its neighbours say.

    The last convolutions start at 0, so that a coupling starts as the identity.
    """

    def __init__(self, inputs: int, outputs: int, hidden: int, scales: int) -> None:
        super().__init__()
        self.first = nn.ModuleList(nn.Conv2d(inputs, hidden, 3, padding=1) for _ in range(scales))
        self.last = nn.ModuleDict(
            {
                f"{source}to{target}": from_zero(nn.Conv2d(hidden, outputs, 3, padding=1))
                for target in range(scales)
                for source in range(max(0, target - 1), min(scales, target + 2))
            }
        )

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Map `(B, inputs, h, w)` a scale to `(B, outputs, h, w)` a scale."""
        inner = [first(one).relu() for first, one in zip(self.first, maps, strict=True)]
        found = []
        for target, place in enumerate(inner):
            size = (place.shape[-2], place.shape[-1])
            parts = []
            for source in range(max(0, target - 1), min(len(inner), target + 2)):
                here = inner[source]
                if source < target:
                    here = functional.avg_pool2d(here, 2, ceil_mode=True)
                answer = self.last[f"{source}to{target}"](here)
                if source > target:
                    answer = functional.interpolate(answer, size=size, mode="bilinear")
                parts.append(answer)
            found.append(torch.stack(parts).sum(0))
        return found


def _normal_cost(latents: Tensor) -> Tensor:
    return 0.5 * (latents.square() + LOG_TWO_PI).sum(1)
