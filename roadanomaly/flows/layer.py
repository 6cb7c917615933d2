"""What every step of a flow is: an invertible map that knows how it stretches volume."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


class Layer(nn.Module, ABC):
    """An invertible map of `(B, C, H, W)`.

    `forward` goes from data to latents, the direction of the density; `inverse` the other way, the
    direction of sampling. Both can be differentiated.
    """

    @abstractmethod
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mapped tensor and `ln |det dy/dx|` of each sample, `(B,)` nats."""

    @abstractmethod
    def inverse(self, y: Tensor) -> Tensor:
        """Return the `x` that `forward` maps to `y`."""


class Chain(Layer):
    """Layers one after the other.

    Args:
        layers: from data to latents.
        save_memory: recompute each layer's activations in the backward pass instead of keeping
            them; memory then grows with one layer, not with all, for a second forward's time.
    """

    def __init__(self, layers: Sequence[Layer], *, save_memory: bool = False) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.save_memory = save_memory

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Apply the layers in order and add their log-determinants."""
        total = x.new_zeros(len(x))
        for layer in self.layers:
            x, log_det = self._run(layer, x)
            total = total + log_det
        return x, total

    def inverse(self, y: Tensor) -> Tensor:
        """Undo the layers from the last to the first."""
        for layer in reversed(self.layers):
            assert isinstance(layer, Layer)
            y = self._run(layer.inverse, y)
        return y

    def _run(self, function, x: Tensor):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        if self.save_memory and torch.is_grad_enabled():
            return checkpoint(function, x, use_reentrant=False)
        return function(x)


def normal_log_density(z: Tensor) -> Tensor:
    """Return `ln N(z; 0, 1)` summed over all but the first dimension, `(B,)` nats."""
    return (-0.5 * (z.square() + LOG_TWO_PI)).flatten(1).sum(1)


LOG_TWO_PI = 1.8378770664093453
