"""Densities of feature vectors: zuko's Real NVP behind the interface of the image flows."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import zuko
from torch import Tensor, nn
from torch.distributions import Transform
from zuko.distributions import NormalizingFlow
from zuko.transforms import ComposedTransform, CouplingTransform

from roadanomaly.errors import OptionError


class _Coupling(CouplingTransform):  # type: ignore[misc]
    """zuko's coupling, told which places stay and which move.

    zuko reads them off a mask in every pass, and a GPU has to be waited for each time.
    """

    def __init__(self, meta: Callable[[Tensor], Transform], stays: Tensor, moves: Tensor) -> None:
        Transform.__init__(self)
        self.meta, self.idx_a, self.idx_b = meta, stays, moves


class VectorFlow(nn.Module):
    """A density of vectors `(..., C)`, any number of dimensions in front.

    With a condition `(..., context)` for each vector, a density for each condition.

    Everything is computed in float32, whatever an autocast context says.

    Args:
        features: C, at least 2.
        couplings: affine couplings, each moving half of the values.
        hidden: width of the two hidden layers of each coupling.
        context: values of the condition that the density is given; 0 for none.

    Raises:
        OptionError: fewer than 2 features or no coupling.
    """

    def __init__(
        self, features: int, couplings: int = 4, hidden: int = 64, context: int = 0
    ) -> None:
        super().__init__()
        if features < 2 or couplings < 1:
            msg = (
                "a flow of vectors needs 2 features and 1 coupling or more, not "
                f"{features} and {couplings}."
            )
            raise OptionError(msg)
        self.flow = zuko.flows.RealNVP(
            features, context, transforms=couplings, hidden_features=(hidden, hidden)
        )
        for parity in (0, 1):
            places = torch.arange(parity, features, 2)
            self.register_buffer(f"places{parity}", places, persistent=False)

    def _flow(self, context: Tensor | None = None) -> NormalizingFlow:
        """Return zuko's flow; the even places stay in even couplings, the odd ones in odd."""
        given = None if context is None else context.float()
        places = self.get_buffer("places0"), self.get_buffer("places1")
        couplings = (
            _Coupling(partial(layer.meta, given), places[number % 2], places[1 - number % 2])
            for number, layer in enumerate(self.flow.transform.transforms)
        )
        return NormalizingFlow(ComposedTransform(*couplings), self.flow.base())

    def transform(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return latents `(..., C)`, standard normal under the model, and `log_det` `(...)`."""
        with torch.autocast(x.device.type, enabled=False):
            return self._flow(context).transform.call_and_ladj(x.float())

    def inverse(self, latents: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the vectors `(..., C)` of latents; differentiable."""
        with torch.autocast(latents.device.type, enabled=False):
            return self._flow(context).transform.inv(latents.float())

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return `ln p(x)` `(...)` in nats."""
        with torch.autocast(x.device.type, enabled=False):
            return self._flow(context).log_prob(x.float())

    def sample(self, count: int) -> Tensor:
        """Draw vectors `(count, C)`; gradients reach the parameters unless in `no_grad`."""
        return self._flow().rsample((count,))
