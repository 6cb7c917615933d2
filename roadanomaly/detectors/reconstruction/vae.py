"""VAE: a bound on the bits that an image takes, pixel by pixel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from roadanomaly.detectors.losses import masked_mean
from roadanomaly.detectors.reconstruction.image_detector import CodeDetector
from roadanomaly.detectors.reconstruction.networks import Down, Up
from roadanomaly.detectors.widths import check_widths
from roadanomaly.errors import OptionError
from roadanomaly.flows.layer import LOG_TWO_PI
from roadanomaly.refiners.smoothing import check_window, window_mean
from roadanomaly.types import Batch, Segmentation

BITS = 1 / math.log(2)
GREY_BITS = 8.0
"""Bits of a value in 0..1 that is told in 256 steps, beyond those of its density."""

RANGE = 6.0
"""Largest magnitude of the posterior's log-variance."""

LEAST = -5.0
"""Least logarithm of the values' deviation."""

COLOURS = 3


class VAE(CodeDetector):
    """Negative evidence lower bound at each pixel, in bits per dimension.

    Every place of a code has a normal posterior whose mean and variance the encoder gives, and a
    standard normal prior; the decoder gives the mean of each value, and one variance a colour is
    learned with it. The score is the negative log-likelihood of a pixel under the code's mean plus
    its share of the Kullback-Leibler divergence of its place, so that a map's mean is an image's
    bits per dimension.

    Args:
        widths: channels of the levels, each half as fine as the one before.
        bottleneck: channels of the code.
        beta: weight of the divergence in the loss, above 0; 1 gives the bound itself.
        deviation: of the values about the decoder's mean, 0.0068 (e^-5) to 1 where the whole range
            of a colour is 1; 0 for learned ones.
        smooth: side of the window, in pixels, odd, over which the score is averaged.

    Raises:
        OptionError: a value out of range.

    Source: Kingma and Welling, 2014, Auto-Encoding Variational Bayes; beta as in Higgins et al.,
    2017. Differs: a code with places, so that divergences are local; the normal density of a value
    plus 8 bits stands for the probability of its grey level.
    """

    paper = "Kingma and Welling, Auto-Encoding Variational Bayes, ICLR 2014"

    def __init__(
        self,
        widths: Sequence[int] = (32, 64, 96, 128),
        bottleneck: int = 32,
        beta: float = 1.0,
        deviation: float = 0.0,
        smooth: int = 11,
    ) -> None:
        super().__init__()
        check_widths("vae", widths)
        check_window("vae", "smooth", smooth)
        told = deviation == 0 or math.exp(LEAST) <= deviation <= 1
        if bottleneck < 1 or beta <= 0 or not told:
            msg = (
                "vae: `bottleneck` must be at least 1, `beta` above 0 and `deviation` 0 or from "
                f"0.0068 to 1, not {bottleneck}, {beta:g} and {deviation:g}."
            )
            raise OptionError(msg)
        self.widths, self.bottleneck, self.smooth = list(widths), bottleneck, smooth
        self.beta, self.deviation = beta, deviation
        self.stride = 2 ** len(widths)
        self.encoder = Down(3, widths)
        self.posterior = nn.Conv2d(widths[-1], 2 * bottleneck, 1)
        self.decoder = Up(bottleneck, list(reversed(widths)), COLOURS)
        start = math.log(deviation or 0.1)
        self.log_deviation = nn.Parameter(
            torch.full((COLOURS,), start), requires_grad=deviation == 0
        )

    def options(self) -> dict[str, Any]:
        """Return the constructor options."""
        return {
            "widths": self.widths,
            "bottleneck": self.bottleneck,
            "beta": self.beta,
            "deviation": self.deviation,
            "smooth": self.smooth,
        }

    def encode(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance of the posterior, `(B, bottleneck, h, w)` float32 each."""
        found = self.posterior(self.encoder(image - 0.5)[-1]).float()
        mean, raw = found.chunk(2, 1)
        return mean, RANGE * (raw / RANGE).tanh()

    def decode(self, code: Tensor) -> Tensor:
        """Return the mean of the image of a code, `(B, 3, H, W)` in 0..1."""
        return self.decoder(code).sigmoid()

    def nats(self, image: Tensor, mean: Tensor) -> Tensor:
        """Return `-ln p(x | z)` of each pixel's density, `(B, H, W)` nats, a sum over colours."""
        log_deviation = self.log_deviation.clamp_min(LEAST)[:, None, None]
        offset = (image.float() - mean.float()) * (-log_deviation).exp()
        return (0.5 * (offset.square() + LOG_TWO_PI) + log_deviation).sum(1)

    def judge(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return the image of the posterior's mean, and the bound in bits per dimension."""
        mean, log_variance = self.encode(image)
        found = self.decode(mean)
        divergence = functional.interpolate(
            divergences(mean, log_variance)[:, None] / self.stride**2,
            scale_factor=float(self.stride),
            mode="bilinear",
        )[:, 0]
        bits = in_bits(self.nats(image, found) + divergence)
        return found, window_mean(bits, self.smooth)

    def loss(self, segmentation: Segmentation, batch: Batch) -> dict[str, Tensor]:
        """Return both parts of the negative bound of one sample, in bits per dimension."""
        del segmentation
        self.ready = True
        image, inlier = self.inliers(batch)
        mean, log_variance = self.encode(image)
        code = mean + (0.5 * log_variance).exp() * torch.randn_like(mean)
        nats = self.nats(image, self.decode(code))
        cells = functional.avg_pool2d(inlier[:, None].float(), self.stride)[:, 0]
        divergence = divergences(mean, log_variance) / self.stride**2
        return {
            "likelihood": masked_mean(in_bits(nats), inlier),
            "divergence": self.beta * masked_mean(divergence, cells) * (BITS / COLOURS),
        }


def divergences(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return `KL(N(m, s^2) || N(0, 1))` of each place, `(B, h, w)` nats, a sum over channels."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)


def in_bits(nats: Tensor) -> Tensor:
    """Return bits per dimension of grey levels of a pixel's three values in nats."""
    return nats * (BITS / COLOURS) + GREY_BITS
