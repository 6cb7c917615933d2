"""One pass of an adaptation: inliers below the threshold, negatives above it, the rest kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from roadanomaly.detectors.losses import masked_mean
from roadanomaly.model import Model
from roadanomaly.training.adapt_config import AdaptConfig
from roadanomaly.training.norms import hold_statistics
from roadanomaly.types import INLIER, Batch, Segmentation

WORST = 0.03
"""Share of the inlier pixels, those that score highest, that counts once more."""


class AdaptStep(nn.Module):
    """A model that learns beside a copy of what it was.

    All terms are taken on the refined score at image size, since that is what a threshold cuts.
    Pixels of the drives carry `INLIER`, those of known worlds their class.

    Args:
        model: that learns.
        before: the model as it was, with its calibration.
        learning: the parameters of `model` that move; all others stay.
        config: weights of the terms.
    """

    def __init__(
        self, model: Model, before: Model, learning: Sequence[nn.Parameter], config: AdaptConfig
    ) -> None:
        super().__init__()
        assert before.calibration is not None
        self.head, self.head_before = model.head, before.head
        self.networks = model.networks
        self.before = before.networks.requires_grad_(False)
        self.segmenter, self.segmenter_before = model.segmenter, before.segmenter
        self.threshold, self.config = before.calibration.threshold, config
        self.learning = list(learning)
        self.anchors = [one.detach().clone() for one in learning]
        chosen = {id(one) for one in learning}
        for parameter in self.networks.parameters():
            parameter.requires_grad_(id(parameter) in chosen)
        self.moving = any(one.requires_grad for one in model.segmenter.parameters())

    def train(self, mode: bool = True) -> AdaptStep:
        """Set the mode; all statistics stay, those of BatchNorm layers too."""
        super().train(mode)
        self.before.eval()
        if not self.moving:
            self.segmenter.eval()
        hold_statistics(self.networks)
        return self

    def forward(self, batch: Batch, rng: np.random.Generator | None = None) -> dict[str, Tensor]:
        """Return the named loss terms of a float batch; their sum is to be minimised.

        Args:
            batch: as it left the loader, on the device.
            rng: not used: all chance is in the loader.
        """
        del rng
        segmentation = replace(self.head.look(self.segmenter, batch.image), places=batch.places)
        score = self.head.score(segmentation, batch.image)
        before = self._score_before(segmentation, batch)
        config, known = self.config, batch.known
        own = (batch.label == INLIER) & ~near(batch.negative, config.near)
        below = functional.softplus(score - self.threshold + config.margin)
        above = functional.softplus(self.threshold + config.margin - score)
        return {
            "inliers": masked_mean(below, own),
            "worst": config.worst * mean_of_largest(below, own, WORST),
            "negatives": masked_mean(above, batch.negative),
            "hold": config.hold * masked_mean((before - score).relu(), batch.negative),
            "keep": config.keep
            * masked_mean(functional.smooth_l1_loss(score, before, reduction="none"), known),
            "anchor": config.anchor * self._distance(),
        }

    def _score_before(self, segmentation: Segmentation, batch: Batch) -> Tensor:
        """Score as the model did that this one began with; a frozen network is asked once."""
        with torch.no_grad():
            if self.moving:
                found = self.head_before.look(self.segmenter_before, batch.image)
                segmentation = replace(found, places=batch.places)
            return self.head_before.score(segmentation, batch.image).detach()

    def _distance(self) -> Tensor:
        """Return the squared distance of all that learns from where it began."""
        pairs = zip(self.learning, self.anchors, strict=True)
        parts = [(one - start.to(one.device)).square().sum() for one, start in pairs]
        return sum(parts[1:], parts[0])


def near(mask: Tensor, pixels: int) -> Tensor:
    """Return where a mask, `(B, H, W)` bool, holds within so many pixels, by rows and columns."""
    grown = functional.max_pool2d(mask[:, None].float(), (2 * pixels + 1, 1), 1, (pixels, 0))
    return functional.max_pool2d(grown, (1, 2 * pixels + 1), 1, (0, pixels))[:, 0] > 0


def mean_of_largest(values: Tensor, mask: Tensor, share: float) -> Tensor:
    """Return the mean of a share of the masked values, the largest; 0 where there are none."""
    counted = values[mask]
    if not counted.numel():
        return 0 * values.sum()
    return counted.topk(max(1, int(share * counted.numel()))).values.mean()
