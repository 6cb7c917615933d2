"""DRAEM: an image, its repair, and a network that sees where they differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from roadanomaly.detectors.losses import masked_mean
from roadanomaly.detectors.reconstruction.image_detector import ImageDetector
from roadanomaly.detectors.reconstruction.networks import Down, UNet, Up
from roadanomaly.detectors.reconstruction.similarity import dissimilarity, squared_error
from roadanomaly.detectors.widths import check_widths
from roadanomaly.errors import OptionError
from roadanomaly.types import NEGATIVE, Batch, Segmentation, is_inlier

FOCUS = 2.0
"""Exponent of the focal loss."""


class Draem(ImageDetector):
    """Log-odds of a negative, by a U-Net that sees the image and its repair.

    A source of negatives spoils the images (`perlin`, as published). An autoencoder learns to give
    them back as they were; a U-Net learns, from both, where they were spoilt.

    Args:
        widths: channels of the repairing autoencoder's levels.
        bottleneck: channels of its code.
        judge_widths: channels of the U-Net at full size and at each halving after it.
        focus: exponent of the focal loss; 0 for the cross-entropy.

    Raises:
        OptionError: a value out of range.

    Source: Zavrtanik et al., 2021, DRAEM, section 3. Differs: small networks; images are repaired
    where inliers or negatives are labelled, and void counts nowhere; the log-odds in place of the
    probability, which orders pixels alike and does not saturate; no mean over 21x21 pixels, which
    the refiner `smooth` gives.
    """

    needs_source = True
    supervision = "negatives"
    paper = "Zavrtanik et al., DRAEM, ICCV 2021"

    def __init__(
        self,
        widths: Sequence[int] = (32, 64, 96, 128),
        bottleneck: int = 64,
        judge_widths: Sequence[int] = (16, 32, 64, 96),
        focus: float = FOCUS,
    ) -> None:
        super().__init__()
        check_widths("draem", widths)
        check_widths("draem", judge_widths, 2)
        if bottleneck < 1 or (focus < 1 and focus != 0):
            msg = (
                "draem: `bottleneck` must be at least 1, and `focus` 0 or at least 1 (below it has "
                f"no finite slope where a pixel is judged well), not {bottleneck} and {focus:g}."
            )
            raise OptionError(msg)
        self.widths, self.bottleneck = list(widths), bottleneck
        self.judge_widths, self.focus = list(judge_widths), focus
        self.stride = max(2 ** len(widths), 2 ** (len(judge_widths) - 1))
        self.encoder = Down(3, [*widths[:-1], bottleneck])
        self.decoder = Up(bottleneck, list(reversed(widths)), 3)
        self.network = UNet(6, 2, judge_widths)

    def options(self) -> dict[str, Any]:
        """Return the constructor options."""
        return {
            "widths": self.widths,
            "bottleneck": self.bottleneck,
            "judge_widths": self.judge_widths,
            "focus": self.focus,
        }

    def judge(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return the repair, and the log-odds of a negative."""
        repair = self.decoder(self.encoder(image - 0.5)[-1]).sigmoid()
        logits = self.network(torch.cat([image - 0.5, repair - 0.5], 1)).float()
        return repair, logits[:, 1] - logits[:, 0]

    def loss(self, segmentation: Segmentation, batch: Batch) -> dict[str, Tensor]:
        """Return the repair's differences to the image as it was, and the focal loss."""
        del segmentation
        self.ready = True
        image, label = self.grown(batch, batch.image)
        before, _ = self.grown(batch, batch.image if batch.original is None else batch.original)
        negative = label == NEGATIVE
        counted = is_inlier(label) | negative
        repair, odds = self.judge(image)
        target = negative.float()
        cost = functional.binary_cross_entropy_with_logits(odds, target, reduction="none")
        focal = (1 - (-cost).exp()).clamp_min(0) ** self.focus * cost if self.focus else cost
        return {
            "l2": masked_mean(squared_error(before, repair), counted),
            "ssim": masked_mean(dissimilarity(before, repair), counted),
            "focal": masked_mean(focal, counted),
        }
