"""One pass of a batch: generate, and let both sides say what they want minimised."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from roadanomaly.encoders import Encoder
from roadanomaly.generators import Generator
from roadanomaly.generators.base import one_hot
from roadanomaly.generators.discriminators import Discriminators
from roadanomaly.generators.losses import (
    adversarial_loss,
    discriminator_loss,
    feature_matching,
    gradient_penalty,
    perceptual_distance,
)
from roadanomaly.training.generator_config import GeneratorConfig
from roadanomaly.types import Batch


class GeneratorStep(nn.Module):
    """Generator and discriminators, whose terms are minimised at once by one backward pass.

    The generator's terms see discriminators with detached parameters, and the discriminators'
    terms a detached image: neither side gives the other a gradient.

    Args:
        generator: learns.
        discriminators: learn.
        encoder: of the perceptual term; frozen here. None leaves the term out.
        config: weights and kinds of the terms.

    Attributes:
        passes: so far, for the gradient penalty's interval.
    """

    passes: Tensor

    def __init__(
        self,
        generator: Generator,
        discriminators: Discriminators,
        encoder: Encoder | None,
        config: GeneratorConfig,
    ) -> None:
        super().__init__()
        self.generator = generator
        self.discriminators = discriminators
        self.encoder = None if encoder is None else encoder.requires_grad_(False)
        self.config = config
        self.register_buffer("passes", torch.zeros((), dtype=torch.int64))

    def train(self, mode: bool = True) -> GeneratorStep:
        """Set the mode; the encoder stays in inference mode."""
        super().train(mode)
        if self.encoder is not None:
            self.encoder.eval()
        return self

    def forward(self, batch: Batch, rng: np.random.Generator | None = None) -> dict[str, Tensor]:
        """Return the named loss terms of a float batch; their sum is to be minimised.

        Args:
            batch: as it left the loader, on the device.
            rng: not used; nothing here is random.
        """
        del rng
        layout = one_hot(batch.label, self.generator.classes)
        fake = self.generator(batch.label)
        judged = self.discriminators(
            torch.cat([layout, layout]), torch.cat([batch.image, fake.detach()])
        )
        real = [[one[: len(layout)] for one in maps] for maps in judged]
        false = [[one[len(layout) :] for one in maps] for maps in judged]
        terms = {"discriminators": discriminator_loss(real, false, self.config.adversarial)}
        terms |= self._penalty(layout, batch.image)
        return terms | self._generator_terms(layout, fake, batch.image, real)

    def _penalty(self, layout: Tensor, image: Tensor) -> dict[str, Tensor]:
        """Return R1 every so many passes, and 0 in between; nothing where it is not asked for."""
        config = self.config
        if not config.r1:
            return {}
        due = int(self.passes) % config.r1_interval == 0
        self.passes += 1
        if not due:
            return {"r1": image.new_zeros(())}
        image = image.detach().requires_grad_()
        with torch.enable_grad(), torch.autocast(image.device.type, enabled=False):
            penalty = gradient_penalty(self.discriminators(layout, image), image)
        return {"r1": config.r1 * config.r1_interval * penalty}

    def _generator_terms(
        self, layout: Tensor, fake: Tensor, image: Tensor, real: list[list[Tensor]]
    ) -> dict[str, Tensor]:
        config = self.config
        fixed = {name: one.detach() for name, one in self.discriminators.named_parameters()}
        scores = functional_call(self.discriminators, fixed, (layout, fake))
        terms = {
            "adversarial": config.adversarial_weight * adversarial_loss(scores, config.adversarial),
            "feature_matching": config.feature_matching * feature_matching(scores, real),
        }
        if self.encoder is not None:
            with torch.no_grad():
                seen = self.encoder(_resized(image, config.encoder_size))
            drawn = self.encoder(_resized(fake, config.encoder_size))
            terms["perceptual"] = config.perceptual * perceptual_distance(drawn, seen)
        if config.pixel:
            terms["pixel"] = config.pixel * (fake - image).abs().mean()
        return terms


def _resized(image: Tensor, size: tuple[int, int] | None) -> Tensor:
    if size is None or tuple(image.shape[-2:]) == tuple(size):
        return image
    return functional.interpolate(image, size=size, mode="bilinear", align_corners=False)
