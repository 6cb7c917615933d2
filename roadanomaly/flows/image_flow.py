"""What every flow on images offers: density, bits per dimension, samples of any size."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from roadanomaly.errors import OptionError
from roadanomaly.flows.dequantise import build_dequantiser
from roadanomaly.flows.layer import normal_log_density

LEVELS = 256
"""Grey levels of an image."""


class ImageFlow(nn.Module, ABC):
    """A density of images `(B, C, H, W)` of any size that `stride` divides.

    Everything is computed in the precision of the parameters, float32 or float64, whatever an
    autocast context or a half-precision input says.

    Args:
        channels: of an image.
        stride: what both sides must be multiples of.
        dequantise: `"uniform"` or `"variational"`: how grey levels become continuous values.
    """

    def __init__(self, channels: int, stride: int, dequantise: str) -> None:
        super().__init__()
        self.channels = channels
        self.stride = stride
        self.dequantise = dequantise
        self.dequantiser = build_dequantiser(dequantise, channels)

    @abstractmethod
    def encode_levels(self, x: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Map checked images to latents, and say what each level stretches.

        Returns:
            the latents, one a level, and as many parts of the log-determinant, `(B,)` nats each.
        """

    def encode(self, x: Tensor) -> tuple[list[Tensor], Tensor]:
        """Map checked images to latents; see `transform`."""
        latents, parts = self.encode_levels(x)
        return latents, torch.stack(parts).sum(0)

    @abstractmethod
    def decode(self, latents: Sequence[Tensor]) -> Tensor:
        """Map latents to images; see `inverse`."""

    @abstractmethod
    def latent_shapes(self, height: int, width: int) -> list[tuple[int, int, int]]:
        """Return `(C, H, W)` of each latent of an image of a size."""

    @abstractmethod
    def options(self) -> dict[str, Any]:
        """Return the constructor options that rebuild this flow."""

    def transform(self, x: Tensor) -> tuple[list[Tensor], Tensor]:
        """Map images to latents that are standard normal under the model.

        Args:
            x: `(B, C, H, W)` float in 0..1.

        Returns:
            the latents, one a level, and `log_det` `(B,)` in nats: what to add to their density to
            get that of `x`.

        Raises:
            OptionError: a size that the stride does not divide, or a wrong number of channels.
            TypeError: not floating point.
        """
        x = self._checked(x)
        with torch.autocast(x.device.type, enabled=False):
            return self.encode(x)

    def inverse(self, latents: Sequence[Tensor]) -> Tensor:
        """Map latents to images, `(B, C, H, W)` float, not clamped; differentiable."""
        latents = [one.to(self.dtype) for one in latents]
        with torch.autocast(latents[0].device.type, enabled=False):
            return self.decode(latents)

    def log_prob(self, x: Tensor) -> Tensor:
        """Return `ln p(x)` of the continuous density, `(B,)` nats; no dequantisation.

        Args:
            x: `(B, C, H, W)` float in 0..1, the unit in which volume is measured.
        """
        latents, log_det = self.transform(x)
        return torch.stack([normal_log_density(one) for one in latents]).sum(0) + log_det

    def level_log_probs(self, x: Tensor) -> Tensor:
        """Return what each level adds to `ln p(x)`, `(B, L)` nats, the finest first.

        A level adds its part of the log-determinant and the log-density of the latents that leave
        the flow after it; the sum is `log_prob`. The last one says how unusual the coarse content
        is (Schirrmeister et al., 2020).

        Args:
            x: as `log_prob` takes it.
        """
        x = self._checked(x)
        with torch.autocast(x.device.type, enabled=False):
            latents, parts = self.encode_levels(x)
            pairs = zip(latents, parts, strict=True)
            return torch.stack([normal_log_density(one) + part for one, part in pairs], 1)

    def bits_per_dim(self, image: Tensor) -> Tensor:
        """Return the bits that a channel of a pixel costs, `(B,)`: an upper bound, one sample.

        Args:
            image: `(B, C, H, W)` uint8.

        Raises:
            TypeError: not uint8.
            OptionError: other channels, or sides that the flow does not take.
        """
        if image.dtype != torch.uint8:
            msg = f"bits_per_dim takes uint8 images, not {image.dtype}; log_prob takes floats."
            raise TypeError(msg)
        self._check_shape(image)
        with torch.autocast(image.device.type, enabled=False):
            noise, log_q = self.dequantiser(image.to(self.dtype))
        x = (image + noise) / LEVELS
        dimensions = image[0].numel()
        nats = log_q - self.log_prob(x) + dimensions * math.log(LEVELS)
        return nats / (dimensions * math.log(2))

    def sample(
        self,
        count: int,
        height: int,
        width: int,
        temperature: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Draw images; gradients reach the parameters unless in `no_grad`.

        Values are clamped to 0..1; the gradient passes the clamp as if it were not there.

        Args:
            count: images.
            height: of each, a multiple of the stride.
            width: of each, a multiple of the stride.
            temperature: deviation of the latents.
            generator: draws the latents; None takes torch's own.

        Returns:
            `(count, C, height, width)` float in 0..1.
        """
        self._check_size(height, width)
        device = next(self.parameters()).device
        source = device if generator is None else generator.device
        drawn = [
            torch.randn(count, *shape, generator=generator, device=source)
            for shape in self.latent_shapes(height, width)
        ]
        x = self.inverse([temperature * one.to(device, non_blocking=True) for one in drawn])
        return x + (x.clamp(0, 1) - x).detach()

    @property
    def dtype(self) -> torch.dtype:
        """The precision of the parameters.

        Raises:
            TypeError: it is below single precision, in which a flow cannot be inverted.
        """
        dtype = next(self.parameters()).dtype
        if dtype not in (torch.float32, torch.float64):
            msg = f"a flow needs float32 or float64 parameters, not {dtype}: call .float() on it."
            raise TypeError(msg)
        return dtype

    def _checked(self, x: Tensor) -> Tensor:
        if not x.is_floating_point():
            msg = f"a flow takes floats in 0..1, not {x.dtype}; bits_per_dim takes uint8 images."
            raise TypeError(msg)
        self._check_shape(x)
        return x.to(self.dtype)

    def _check_shape(self, x: Tensor) -> None:
        if x.dim() != 4 or x.shape[1] != self.channels:
            msg = f"this flow takes (B, {self.channels}, H, W), not {tuple(x.shape)}."
            raise OptionError(msg)
        self._check_size(x.shape[2], x.shape[3])

    def _check_size(self, height: int, width: int) -> None:
        if height < 1 or width < 1 or height % self.stride or width % self.stride:
            larger = [
                max(1, math.ceil(side / self.stride)) * self.stride for side in (height, width)
            ]
            msg = (
                f"{height}x{width} pixels: both sides must be multiples of {self.stride}, "
                f"such as {larger[0]}x{larger[1]}."
            )
            raise OptionError(msg)
