"""f-AnoGAN: an image that a generator of inlier images cannot draw from what an encoder says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from roadanomaly.detectors.learner import Learner
from roadanomaly.detectors.losses import masked_mean
from roadanomaly.detectors.reconstruction.image_detector import CodeDetector
from roadanomaly.detectors.reconstruction.networks import SLOPE, Encoder
from roadanomaly.detectors.reconstruction.similarity import squared_error
from roadanomaly.detectors.widths import check_widths
from roadanomaly.errors import OptionError
from roadanomaly.generators.held import asked_held
from roadanomaly.refiners.smoothing import check_window, window_mean
from roadanomaly.types import Batch, Segmentation

GROUPS = 4
DRIFT = 1e-3
"""Weight of the critic's squared scores of images, which keeps them near 0."""


class FAnoGAN(CodeDetector):
    """`|x - G(E(x))|^2 + k |f(x) - f(G(E(x)))|^2` a dimension, f an inner map of the critic.

    First a generator learns to draw inlier images from noise against a Wasserstein critic with
    gradient penalty; then, with both held, an encoder learns the code whose image is the given one
    (the paper's `izi_f`).

    Args:
        widths: channels of the levels, each half as fine as the one before; multiples of 4.
        bottleneck: channels of the code.
        gan: share of the training that generator and critic take, 0..1; the encoder takes the
            rest. Where the length is not known, all learn at once.
        features: k.
        penalty: weight of the gradient penalty.
        critic_width: channels of the critic's first layer.
        critic_lr: rate of the critic's Adam.
        generator_lr: rate of the generator's.
        smooth: side of the window, in pixels, odd, over which the score is averaged.

    Raises:
        OptionError: a value out of range.

    Source: Schlegl et al., 2019, f-AnoGAN, section 3; Gulrajani et al., 2017, for the critic.
    Differs: codes with places, so that images of any size are judged at once and not patch by
    patch; the critic scores each place, so the penalty divides the squared slope of the summed
    scores by the number of places; critic and generator take a step each at rates of their own
    (Heusel et al., 2017), and not five to one.
    """

    paper = "Schlegl et al., f-AnoGAN, Medical Image Analysis 2019"

    def __init__(
        self,
        widths: Sequence[int] = (32, 64, 96, 128),
        bottleneck: int = 32,
        gan: float = 0.6,
        features: float = 1.0,
        penalty: float = 10.0,
        critic_width: int = 32,
        critic_lr: float = 4e-4,
        generator_lr: float = 1e-4,
        smooth: int = 11,
    ) -> None:
        super().__init__()
        check_widths("fanogan", widths)
        check_window("fanogan", "smooth", smooth)
        if any(one % GROUPS for one in widths) or min(bottleneck, critic_width) < 1:
            msg = (
                f"fanogan: `widths` must be multiples of {GROUPS}, `bottleneck` and `critic_width` "
                f"at least 1, not {list(widths)}, {bottleneck} and {critic_width}."
            )
            raise OptionError(msg)
        if not 0 <= gan <= 1 or min(features, penalty) < 0 or min(critic_lr, generator_lr) <= 0:
            msg = (
                "fanogan: `gan` must lie in 0..1, `features` and `penalty` not be negative, rates "
                f"be above 0, not {gan:g}, {features:g}, {penalty:g}, {critic_lr:g} and "
                f"{generator_lr:g}."
            )
            raise OptionError(msg)
        self.widths, self.bottleneck, self.smooth = list(widths), bottleneck, smooth
        self.gan, self.features, self.penalty = gan, features, penalty
        self.critic_width = critic_width
        self.critic_lr, self.generator_lr = critic_lr, generator_lr
        self.stride = 2 ** len(widths)
        self.generator = Generator(bottleneck, list(reversed(widths)))
        self.critic = Critic(critic_width, min(len(widths), 3))
        self.encoder = Encoder(widths, bottleneck)
        self.passes = self.expected = 0
        self.keep_plain("passes", "expected")

    def options(self) -> dict[str, Any]:
        """Return the constructor options."""
        return {
            "widths": self.widths,
            "bottleneck": self.bottleneck,
            "gan": self.gan,
            "features": self.features,
            "penalty": self.penalty,
            "critic_width": self.critic_width,
            "critic_lr": self.critic_lr,
            "generator_lr": self.generator_lr,
            "smooth": self.smooth,
        }

    def learners(self) -> Mapping[str, Learner]:
        """Return the optimisers of critic and generator; the encoder learns by the run's own."""
        rates = {"critic": self.critic_lr, "generator": self.generator_lr}
        parts = {"critic": self.critic, "generator": self.generator}
        return {
            name: Learner(list(part.parameters()), "adam", rates[name], betas=(0.0, 0.9))
            for name, part in parts.items()
        }

    def expect(self, passes: int) -> None:
        """Hear how many training passes are to come, for the two phases."""
        self.expected = passes

    def phases(self) -> tuple[bool, bool]:
        """Return whether generator and critic learn, and whether the encoder does."""
        if not self.expected:
            return True, True
        drawing = self.passes < self.gan * self.expected
        return drawing, not drawing

    def decode(self, code: Tensor) -> Tensor:
        """Return what the generator draws of a code, `(B, 3, H, W)` in 0..1."""
        drawn: Tensor = self.generator(code)
        return drawn

    def judge(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return the generator's image of the code, and its differences."""
        found = self.decode(self.encoder(image))
        inner = (self.critic(image)[-2].float() - self.critic(found)[-2].float()).square()
        grown = functional.interpolate(inner.mean(1, True), image.shape[-2:], mode="bilinear")
        error = squared_error(image, found) + self.features * grown[:, 0]
        return found, window_mean(error, self.smooth)

    def loss(self, segmentation: Segmentation, batch: Batch) -> dict[str, Tensor]:
        """Return the terms of critic and generator, or those of the encoder, by the phase.

        Those that wait have a gradient of 0, since processes that share a training average the
        gradients of all parameters.
        """
        del segmentation
        self.ready = True
        drawing, inverting = self.phases()
        if self.training:
            self.passes += 1
        real, _ = self.grown(batch, batch.image if batch.original is None else batch.original)
        drawn = self.adversarial(real) if drawing else _waiting(self.generator, self.critic)
        image, inlier = self.inliers(batch)
        return drawn | (self.inverse(image, inlier) if inverting else _waiting(self.encoder))

    def adversarial(self, real: Tensor) -> dict[str, Tensor]:
        """Return the losses of critic and generator on images; neither has the other's gradient."""
        height, width = (side // self.stride for side in real.shape[-2:])
        noise = torch.randn(len(real), self.bottleneck, height, width, device=real.device)
        drawn = self.generator(noise)
        share = torch.rand(len(real), 1, 1, 1, device=real.device)
        between = (share * real + (1 - share) * drawn.detach()).requires_grad_()
        judged = self.critic(between)[-1]
        (slope,) = torch.autograd.grad(judged.sum(), between, create_graph=True)
        steep = (slope.square().flatten(1).sum(1) / judged[0].numel()).clamp_min(1e-12).sqrt()
        true, false = self.critic(real)[-1], self.critic(drawn.detach())[-1]
        return {
            "critic": false.mean() - true.mean() + DRIFT * true.square().mean(),
            "penalty": self.penalty * (steep - 1).square().mean(),
            "generator": -asked_held(self.critic, drawn)[-1].mean(),
        }

    def inverse(self, image: Tensor, inlier: Tensor) -> dict[str, Tensor]:
        """Return the encoder's losses at inliers, through a generator and a critic that stay."""
        found = asked_held(self.generator, self.encoder(image))
        seen = self.critic(image)[-2].detach()
        inner = (seen - asked_held(self.critic, found)[-2]).square().mean(1)
        cells = functional.adaptive_avg_pool2d(inlier[:, None].float(), inner.shape[-2:])[:, 0]
        return {
            "image": masked_mean(squared_error(image, found), inlier),
            "features": self.features * masked_mean(inner, cells),
        }


class Generator(nn.Module):
    """From codes to images: doubled level by level, group normalisation within."""

    def __init__(self, inputs: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.levels = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(before, after, 3, padding=1),
                nn.GroupNorm(GROUPS, after),
                nn.LeakyReLU(SLOPE),
            )
            for before, after in pairwise([inputs, *widths])
        )
        self.paint = nn.Conv2d(widths[-1], 3, 3, padding=1)

    def forward(self, code: Tensor) -> Tensor:
        """Map `(B, inputs, h, w)` to `(B, 3, H, W)` in 0..1."""
        for level in self.levels:
            code = level(functional.interpolate(code, scale_factor=2.0))
        return self.paint(code).sigmoid()


class Critic(nn.Module):
    """Scores of patches, unbounded; no normalisation, since the penalty is an image's own."""

    def __init__(self, width: int, levels: int) -> None:
        super().__init__()
        widths = [3, *(width * 2**level for level in range(levels))]
        self.levels = nn.ModuleList(
            nn.Sequential(nn.Conv2d(before, after, 4, 2, 1), nn.LeakyReLU(SLOPE))
            for before, after in pairwise(widths)
        )
        self.score = nn.Conv2d(widths[-1], 1, 3, padding=1)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return the maps of all layers of `(B, 3, H, W)` in 0..1; the last is the score."""
        x = 2 * image - 1
        maps = []
        for level in self.levels:
            x = level(x)
            maps.append(x)
        return [*maps, self.score(x)]


def _waiting(*networks: nn.Module) -> dict[str, Tensor]:
    """Return a term of 0 that reaches the parameters of networks which do not learn yet, or now."""
    sums = [one.sum() for network in networks for one in network.parameters()]
    return {"waiting": 0 * torch.stack(sums).sum()}
