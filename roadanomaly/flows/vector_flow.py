"""Densities of feature vectors: zuko's Real NVP behind the interface of the image flows."""

from __future__ import annotations

import torch
import zuko
from torch import Tensor, nn

from roadanomaly.errors import OptionError


class VectorFlow(nn.Module):
    """A density of vectors `(..., C)`, any number of dimensions in front.

    Everything is computed in float32, whatever an autocast context says.

    Args:
        features: C, at least 2.
        couplings: affine couplings, each moving half of the values.
        hidden: width of the two hidden layers of each coupling.

    Raises:
        OptionError: fewer than 2 features or no coupling.
    """

    def __init__(self, features: int, couplings: int = 4, hidden: int = 64) -> None:
        super().__init__()
        if features < 2 or couplings < 1:
            msg = (
                "a flow of vectors needs 2 features and 1 coupling or more, not "
                f"{features} and {couplings}."
            )
            raise OptionError(msg)
        self.flow = zuko.flows.RealNVP(
            features, transforms=couplings, hidden_features=(hidden, hidden)
        )

    def transform(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return latents `(..., C)`, standard normal under the model, and `log_det` `(...)`."""
        with torch.autocast(x.device.type, enabled=False):
            return self.flow().transform.call_and_ladj(x.float())

    def inverse(self, latents: Tensor) -> Tensor:
        """Return the vectors `(..., C)` of latents; differentiable."""
        with torch.autocast(latents.device.type, enabled=False):
            return self.flow().transform.inv(latents.float())

    def log_prob(self, x: Tensor) -> Tensor:
        """Return `ln p(x)` `(...)` in nats."""
        with torch.autocast(x.device.type, enabled=False):
            return self.flow().log_prob(x.float())

    def sample(self, count: int) -> Tensor:
        """Draw vectors `(count, C)`; gradients reach the parameters unless in `no_grad`."""
        return self.flow().rsample((count,))
