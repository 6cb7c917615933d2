"""GANomaly: an image whose reconstruction has another code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor
from torch.nn import functional

from roadanomaly.detectors.learner import Learner
from roadanomaly.detectors.losses import masked_mean
from roadanomaly.detectors.reconstruction.image_detector import ImageDetector
from roadanomaly.detectors.reconstruction.networks import Encoder, Up
from roadanomaly.detectors.widths import check_widths
from roadanomaly.errors import OptionError
from roadanomaly.generators.discriminators import PatchDiscriminator
from roadanomaly.generators.held import asked_held
from roadanomaly.generators.losses import discriminator_loss, feature_matching
from roadanomaly.types import Batch, Segmentation

LAYERS = 2
"""Of the discriminator with stride 2."""


class Ganomaly(ImageDetector):
    """`|E1(x) - E2(G(E1(x)))|` of the codes of the image and of its reconstruction, at each place.

    An encoder and a decoder rebuild the image, a second encoder reads the reconstruction; a
    discriminator of patches keeps reconstructions like images.

    Args:
        widths: channels of the levels, each half as fine as the one before.
        bottleneck: channels of the codes.
        adversarial: weight of the distance of the discriminator's inner maps.
        context: weight of the reconstruction's L1 distance.
        code: weight of the codes' squared distance.
        discriminator_width: channels of the discriminator's first layer.
        discriminator_lr: rate of its Adam.

    Raises:
        OptionError: a value out of range.

    Source: Akcay et al., 2018, GANomaly, section 3. Differs: codes with places, so that the score
    is a map; the discriminator judges patches by the hinge loss, and its inner maps are compared by
    L1, as in the package's generators.
    """

    paper = "Akcay et al., GANomaly, ACCV 2018"

    def __init__(
        self,
        widths: Sequence[int] = (32, 64, 96, 128),
        bottleneck: int = 64,
        adversarial: float = 1.0,
        context: float = 50.0,
        code: float = 1.0,
        discriminator_width: int = 32,
        discriminator_lr: float = 2e-4,
    ) -> None:
        super().__init__()
        check_widths("ganomaly", widths)
        if min(bottleneck, discriminator_width) < 1 or min(adversarial, context, code) < 0:
            msg = (
                "ganomaly: `bottleneck` and `discriminator_width` must be at least 1 and no weight "
                f"negative, not {bottleneck}, {discriminator_width}, {adversarial:g}, "
                f"{context:g} and {code:g}."
            )
            raise OptionError(msg)
        if discriminator_lr <= 0:
            msg = f"ganomaly: `discriminator_lr` must be above 0, not {discriminator_lr:g}."
            raise OptionError(msg)
        self.widths, self.bottleneck = list(widths), bottleneck
        self.adversarial, self.context, self.code = adversarial, context, code
        self.discriminator_width, self.discriminator_lr = discriminator_width, discriminator_lr
        self.stride = 2 ** len(widths)
        self.first, self.second = (Encoder(widths, bottleneck) for _ in range(2))
        self.decoder = Up(bottleneck, list(reversed(widths)), 3)
        self.discriminator = PatchDiscriminator(3, discriminator_width, LAYERS, spectral=True)

    def options(self) -> dict[str, Any]:
        """Return the constructor options."""
        return {
            "widths": self.widths,
            "bottleneck": self.bottleneck,
            "adversarial": self.adversarial,
            "context": self.context,
            "code": self.code,
            "discriminator_width": self.discriminator_width,
            "discriminator_lr": self.discriminator_lr,
        }

    def learners(self) -> Mapping[str, Learner]:
        """Return the discriminator's optimiser."""
        parameters = list(self.discriminator.parameters())
        rate = self.discriminator_lr
        return {"discriminator": Learner(parameters, "adam", rate, betas=(0.5, 0.999))}

    def rebuilt(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return the reconstruction and the squared distance of the codes, `(B, h, w)`."""
        code = self.first(image)
        found = self.decoder(code).sigmoid()
        distance = (code.float() - self.second(found).float()).square().mean(1)
        return found, distance

    def judge(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return the reconstruction, and the distance of the codes at image size."""
        found, distance = self.rebuilt(image)
        score = functional.interpolate(
            distance.clamp_min(0).sqrt()[:, None], scale_factor=float(self.stride), mode="bilinear"
        )
        return found, score[:, 0]

    def loss(self, segmentation: Segmentation, batch: Batch) -> dict[str, Tensor]:
        """Return the terms of the reconstruction, and the discriminator's own."""
        del segmentation
        self.ready = True
        image, inlier = self.inliers(batch)
        found, distance = self.rebuilt(image)
        cells = functional.avg_pool2d(inlier[:, None].float(), self.stride)[:, 0]
        real = self.discriminator(2 * image - 1)
        false = self.discriminator(2 * found.detach() - 1)
        seen = asked_held(self.discriminator, 2 * found - 1)
        return {
            "adversarial": self.adversarial * feature_matching([seen], [real]),
            "context": self.context * masked_mean((image - found).abs().mean(1), inlier),
            "code": self.code * masked_mean(distance, cells),
            "discriminator": discriminator_loss([real], [false], "hinge"),
        }
