"""One pass of a batch: generate, and let both sides say what they want minimised."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from roadanomaly.encoders import Encoder
from roadanomaly.generators import Generator
from roadanomaly.generators.base import one_hot, resize_labels
from roadanomaly.generators.discriminators import Discriminators
from roadanomaly.generators.held import asked_held
from roadanomaly.generators.losses import (
    adversarial_loss,
    discriminator_loss,
    feature_matching,
    gradient_penalty,
    label_agreement,
    perceptual_distance,
)
from roadanomaly.segmenters import Segmenter
from roadanomaly.training.generator_config import GeneratorConfig
from roadanomaly.types import Batch


class GeneratorStep(nn.Module):
    """Generator and discriminators, whose terms are minimised at once by one backward pass.

    The generator's terms see discriminators with detached parameters, and the discriminators'
    terms a detached image: neither side gives the other a gradient.

    Args:
        generator: learns.
        discriminators: learn; None leaves the adversarial terms out.
        encoder: of the perceptual term; frozen here. None leaves the term out.
        reader: must read the labels out of the resynthesis; frozen here. None leaves the term out.
        config: weights and kinds of the terms.

    Attributes:
        passes: so far, for the gradient penalty's interval.
    """

    def __init__(
        self,
        generator: Generator,
        discriminators: Discriminators | None,
        encoder: Encoder | None,
        reader: Segmenter | None,
        config: GeneratorConfig,
    ) -> None:
        super().__init__()
        self.generator = generator
        self.discriminators = discriminators
        self.encoder = None if encoder is None else encoder.requires_grad_(False)
        self.reader = None if reader is None else reader.requires_grad_(False)
        self.config = config
        self.passes = 0

    def train(self, mode: bool = True) -> GeneratorStep:
        """Set the mode; encoder and reader stay in inference mode."""
        super().train(mode)
        for frozen in (self.encoder, self.reader):
            if frozen is not None:
                frozen.eval()
        return self

    def forward(self, batch: Batch, rng: np.random.Generator | None = None) -> dict[str, Tensor]:
        """Return the named loss terms of a float batch; their sum is to be minimised.

        Args:
            batch: as it left the loader, on the device.
            rng: not used; nothing here is random.
        """
        del rng
        fake = self.generator(batch.label)
        terms: dict[str, Tensor] = {}
        if self.discriminators is not None:
            terms |= self._adversarial_terms(self.discriminators, batch, fake)
        if self.encoder is not None:
            terms["perceptual"] = self._perceptual_term(self.encoder, fake, batch.image)
        if self.reader is not None:
            terms["labels"] = self._label_term(self.reader, fake, batch)
        if self.config.pixel:
            terms["pixel"] = self.config.pixel * (fake - batch.image).abs().mean()
        return terms

    def _adversarial_terms(
        self, discriminators: Discriminators, batch: Batch, fake: Tensor
    ) -> dict[str, Tensor]:
        """Return what both sides of the adversarial game want minimised."""
        config = self.config
        layout = one_hot(batch.label, self.generator.classes)
        judged = discriminators(
            torch.cat([layout, layout]), torch.cat([batch.image, fake.detach()])
        )
        real = [[one[: len(layout)] for one in maps] for maps in judged]
        false = [[one[len(layout) :] for one in maps] for maps in judged]
        terms = {"discriminators": discriminator_loss(real, false, config.adversarial)}
        terms |= self._penalty(discriminators, layout, batch.image)
        scores = asked_held(discriminators, layout, fake)
        return terms | {
            "adversarial": config.adversarial_weight * adversarial_loss(scores, config.adversarial),
            "feature_matching": config.feature_matching * feature_matching(scores, real),
        }

    def _penalty(
        self, discriminators: Discriminators, layout: Tensor, image: Tensor
    ) -> dict[str, Tensor]:
        """Return R1 every so many passes, and 0 in between; nothing where it is not asked for."""
        config = self.config
        if not config.r1:
            return {}
        due = self.passes % config.r1_interval == 0
        self.passes += 1
        if not due:
            return {"r1": image.new_zeros(())}
        image = image.detach().requires_grad_()
        with torch.enable_grad(), torch.autocast(image.device.type, enabled=False):
            penalty = gradient_penalty(discriminators(layout, image), image)
        return {"r1": config.r1 * config.r1_interval * penalty}

    def _perceptual_term(self, encoder: Encoder, fake: Tensor, image: Tensor) -> Tensor:
        size = self.config.encoder_size
        with torch.no_grad():
            seen = encoder(_resized(image, size))
        return self.config.perceptual * perceptual_distance(encoder(_resized(fake, size)), seen)

    def _label_term(self, reader: Segmenter, fake: Tensor, batch: Batch) -> Tensor:
        larger = _resized(fake, self.config.encoder_size)
        size = (larger.shape[-2], larger.shape[-1])
        logits = reader(larger).image_logits()
        return self.config.labels * label_agreement(logits, resize_labels(batch.label, size))


def _resized(image: Tensor, size: tuple[int, int] | None) -> Tensor:
    if size is None or tuple(image.shape[-2:]) == tuple(size):
        return image
    return functional.interpolate(image, size=size, mode="bilinear", align_corners=False)
