"""From grey levels to continuous values: what is added to a level, and its density."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid, pixel_shuffle, pixel_unshuffle

from roadanomaly.errors import OptionError, nearest
from roadanomaly.flows.actnorm import ActNorm
from roadanomaly.flows.coupling import mask
from roadanomaly.flows.elementwise import Affine
from roadanomaly.flows.invertible1x1 import Invertible1x1
from roadanomaly.flows.layer import normal_log_density
from roadanomaly.flows.networks import convolutions

KINDS = ("uniform", "variational")


def build_dequantiser(kind: str, channels: int) -> nn.Module:
    """Return the module that draws `(noise in 0..1, ln q(noise))` for an image of grey levels.

    Raises:
        OptionError: an unknown kind.
    """
    if kind not in KINDS:
        msg = f"the dequantisation {kind!r} is unknown; {nearest(kind, KINDS)}"
        raise OptionError(msg)
    return UniformDequantiser() if kind == "uniform" else VariationalDequantiser(channels)


class UniformDequantiser(nn.Module):
    """Uniform noise, of density 1.

    Source: Theis et al., 2016, A Note on the Evaluation of Generative Models, section 3.1.
    """

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Draw for `image` `(B, C, H, W)`, floats 0..255: noise in 0..1 and zeros `(B,)`."""
        return torch.rand_like(image), image.new_zeros(len(image))


class VariationalDequantiser(nn.Module):
    """Noise from a flow that sees the image: it learns which fractions the density likes.

    Four rounds of normalisation, mixing and coupling of squeezed normal noise, whose networks also
    read 16 features of the image, then a sigmoid.

    Args:
        channels: of an image.
        hidden: width of the couplings' networks.

    Source: Ho et al., 2019, Flow++, section 3.1. Differs: affine couplings and small networks.
    """

    def __init__(self, channels: int, hidden: int = 32, rounds: int = 4) -> None:
        super().__init__()
        wide, seen = 4 * channels, 16
        self.context = nn.Sequential(
            nn.Conv2d(wide, hidden, 3, padding=1), nn.ReLU(), nn.Conv2d(hidden, seen, 3, padding=1)
        )
        self.masks = [mask("channel", wide, number) for number in range(rounds)]
        self.norms = nn.ModuleList(ActNorm(wide) for _ in range(rounds))
        self.mixers = nn.ModuleList(Invertible1x1(wide) for _ in range(rounds))
        self.networks = nn.ModuleList(
            convolutions(wide // 2 + seen, 2 * (wide // 2), hidden) for _ in range(rounds)
        )
        self.elementwise = Affine()

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Draw for `image` `(B, C, H, W)`, floats 0..255: noise in 0..1, `ln q(noise)` `(B,)`."""
        context = self.context(pixel_unshuffle(image / 255 - 0.5, 2))
        z = torch.randn_like(pixel_unshuffle(image, 2))
        log_q = normal_log_density(z)
        layers = zip(self.masks, self.norms, self.mixers, self.networks, strict=True)
        for place, norm, mixer, network in layers:
            for layer in (norm, mixer):
                z, log_det = layer(z)
                log_q = log_q - log_det
            raw = network(torch.cat([z[:, place.read], context], 1)).unflatten(1, (2, -1))
            moved, slope = self.elementwise(z[:, place.moved], raw)
            z = torch.cat([z[:, : place.moved.start], moved, z[:, place.moved.stop :]], 1)
            log_q = log_q - slope.flatten(1).sum(1)
        log_q = log_q - (logsigmoid(z) + logsigmoid(-z)).flatten(1).sum(1)
        return pixel_shuffle(z, 2).sigmoid(), log_q
