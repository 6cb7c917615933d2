"""Densities of feature maps: a flow that never changes their size, read location by location."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from roadanomaly.errors import OptionError
from roadanomaly.flows.glow import glow_step
from roadanomaly.flows.layer import LOG_TWO_PI, Chain, Layer


class MapFlow(nn.Module):
    """A density of maps `(B, C, H, W)` of any size, computed in float32.

    Steps of normalisation, mixing and coupling; the couplings' networks take turns between 3x3 and
    1x1 convolutions, and nothing is squeezed or factored out, so that a latent belongs to a place.

    Args:
        channels: C, at least 2.
        steps: of the flow.
        hidden: width of the couplings' networks.

    Raises:
        OptionError: fewer than 2 channels or no step.

    Source: Yu et al., 2021, FastFlow, section 3.3. Differs: Glow's mixing instead of a fixed
    shuffle of the channels.
    """

    def __init__(self, channels: int, steps: int = 4, hidden: int = 64) -> None:
        super().__init__()
        if channels < 2 or steps < 1:
            msg = f"a flow of maps needs 2 channels and 1 step or more, not {channels} and {steps}."
            raise OptionError(msg)
        self.channels = channels
        layers: list[Layer] = []
        for number in range(steps):
            kernel = 1 if number % 2 else 3
            layers += glow_step(channels, number, "channel", hidden, 0, 0, kernel)
        self.chain = Chain(layers)

    def transform(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return latents of the same shape, standard normal under the model, and `log_det` (B,)."""
        with torch.autocast(x.device.type, enabled=False):
            return self.chain(x.float())

    def inverse(self, latents: Tensor) -> Tensor:
        """Return the maps of latents; differentiable."""
        with torch.autocast(latents.device.type, enabled=False):
            return self.chain.inverse(latents.float())

    def log_prob(self, x: Tensor) -> Tensor:
        """Return `ln p(x)`, `(B,)` nats of a whole map."""
        latents, log_det = self.transform(x)
        return log_det - self._normal_cost(latents).flatten(1).sum(1)

    def cost(self, x: Tensor) -> Tensor:
        """Return `-ln N(z)` of the latents at each location, `(B, H, W)` nats.

        The volume change is left out, as in FastFlow's maps: it belongs to a map as a whole.
        """
        return self._normal_cost(self.transform(x)[0])

    @staticmethod
    def _normal_cost(latents: Tensor) -> Tensor:
        return 0.5 * (latents.square() + LOG_TWO_PI).sum(1)
