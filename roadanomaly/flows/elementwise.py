"""What a coupling does to a value: scale and shift it, or push it through a mixture's quantiles."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid


class Elementwise(nn.Module, ABC):
    """An increasing function of each value, whose parameters a network gives.

    All arguments and results are `(B, C, H, W)`, the parameters `(B, count, C, H, W)`. Parameters
    that are all 0 give the identity.

    Attributes:
        count: parameters a value.
    """

    count: int

    @abstractmethod
    def forward(self, x: Tensor, raw: Tensor) -> tuple[Tensor, Tensor]:
        """Return the values and `ln dy/dx` of each."""

    @abstractmethod
    def inverse(self, y: Tensor, raw: Tensor) -> Tensor:
        """Return the `x` that `forward` maps to `y`."""


class Affine(Elementwise):
    """`y = x exp(s) + t` with `s = bound tanh(raw / bound)`, so that no scale runs away.

    Args:
        bound: largest `|s|`.

    Source: Dinh et al., 2017, Density Estimation using Real NVP, equations 7 and 8; the bound as
    in DenseFlow (2 tanh(raw / 2)).
    """

    count = 2

    def __init__(self, bound: float = 2.0) -> None:
        super().__init__()
        self.bound = bound

    def forward(self, x: Tensor, raw: Tensor) -> tuple[Tensor, Tensor]:
        """Return `x exp(s) + t` and `s`."""
        log_scale = self._log_scale(raw)
        return x * log_scale.exp() + raw[:, 1], log_scale

    def inverse(self, y: Tensor, raw: Tensor) -> Tensor:
        """Return `(y - t) exp(-s)`."""
        return (y - raw[:, 1]) * (-self._log_scale(raw)).exp()

    def _log_scale(self, raw: Tensor) -> Tensor:
        return self.bound * (raw[:, 0] / self.bound).tanh()


class LogisticMixture(Elementwise):
    """`y = logit(F(x)) exp(s) + t`, with `F` the distribution function of a mixture of logistics.

    The inverse halves an interval that certainly holds the answer: the mixture's quantile lies
    between its components' quantiles. A last Newton step carries the gradient, as the implicit
    function theorem gives it.

    Args:
        components: of the mixture.
        bound: largest `|s|` and log-scale of a component.

    Source: Ho et al., 2019, Flow++, section 3.2. Differs: bounded log-scales.
    """

    def __init__(self, components: int = 4, bound: float = 2.0) -> None:
        super().__init__()
        self.components = components
        self.bound = bound
        self.count = 2 + 3 * components

    def forward(self, x: Tensor, raw: Tensor) -> tuple[Tensor, Tensor]:
        """Return the values and the logarithm of their slope."""
        log_scale, shift, mixture = self._mixture(raw)
        y, slope = self._logit(x, *mixture)
        return y * log_scale.exp() + shift, slope + log_scale

    def inverse(self, y: Tensor, raw: Tensor) -> Tensor:
        """Return the mixture's quantiles."""
        log_scale, shift, mixture = self._mixture(raw)
        target = (y - shift) * (-log_scale).exp()
        with torch.no_grad():
            _, means, scales = mixture
            quantiles = means + scales.exp() * target[:, None]
            low, high = quantiles.amin(1), quantiles.amax(1)
            for _ in range(64 if y.dtype == torch.float64 else 40):
                middle = (low + high) / 2
                above = self._logit(middle, *mixture)[0] > target
                low, high = torch.where(above, low, middle), torch.where(above, middle, high)
            x = (low + high) / 2
        found, slope = self._logit(x, *mixture)
        return x - (found - target) * (-slope.detach()).exp()

    def _mixture(self, raw: Tensor) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor, Tensor]]:
        weights, means, scales = raw[:, 2:].chunk(3, 1)
        mixture = weights.log_softmax(1), means, self._bounded(scales)
        return self._bounded(raw[:, 0]), raw[:, 1], mixture

    def _bounded(self, raw: Tensor) -> Tensor:
        return self.bound * (raw / self.bound).tanh()

    @staticmethod
    def _logit(
        x: Tensor, log_weights: Tensor, means: Tensor, scales: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return `logit(F(x))` and the logarithm of its slope."""
        z = (x[:, None] - means) * (-scales).exp()
        below, above = logsigmoid(z), logsigmoid(-z)
        log_f = (log_weights + below).logsumexp(1)
        log_rest = (log_weights + above).logsumexp(1)
        log_density = (log_weights + below + above - scales).logsumexp(1)
        return log_f - log_rest, log_density - log_f - log_rest
