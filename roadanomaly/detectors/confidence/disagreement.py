"""How unsure several answers about one image are together, and how far they disagree."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from roadanomaly.detectors.padding import grown_to
from roadanomaly.detectors.softmax import entropy
from roadanomaly.errors import OptionError, nearest
from roadanomaly.types import Segmentation

Measure = Literal["entropy", "mutual_information", "variance"]
MEASURES: tuple[str, ...] = ("entropy", "mutual_information", "variance")

OWN_ENTROPY = "own_entropy"
"""Feature: mean entropy of the single answers, `(B, 1, H, W)`."""

VARIANCE = "variance"
"""Feature: summed variance of the class probabilities over the answers, `(B, 1, H, W)`."""


def require_measure(detector: str, measure: str) -> None:
    """Refuse a measure that is unknown.

    Raises:
        OptionError: with the nearest name.
    """
    if measure not in MEASURES:
        msg = f"{detector}: `score_by` {measure!r} is unknown; {nearest(measure, MEASURES)}"
        raise OptionError(msg)


@dataclass(frozen=True)
class Disagreement:
    """Sums over answers, each a class distribution a pixel; one is in memory at a time.

    Args:
        log_sum: `ln sum_t p_t`, `(B, K, H, W)`.
        entropy: `sum_t H(p_t)`, `(B, H, W)`, in nats.
        square: `sum_t sum_k p_tk^2`, `(B, H, W)`.
        padded: `(H', W')` that the first answer's maps cover.
        align_corners: how these are brought to image size.
        count: of answers.
    """

    log_sum: Tensor
    entropy: Tensor
    square: Tensor
    padded: tuple[int, int]
    align_corners: bool
    count: int = 1

    @classmethod
    def of(cls, answers: Iterable[Segmentation]) -> Disagreement:
        """Sum answers about the same images, one or more."""
        return functools.reduce(cls._with, map(cls._of_one, answers))

    @classmethod
    def _of_one(cls, answer: Segmentation) -> Disagreement:
        log_p = answer.class_logits(answer.image_logits()).log_softmax(1)
        sums = log_p, entropy(log_p), log_p.exp().square().sum(1)
        return cls(*sums, answer.padded, answer.align_corners)

    def _with(self, other: Disagreement) -> Disagreement:
        return Disagreement(
            torch.logaddexp(self.log_sum, other.log_sum),
            self.entropy + other.entropy,
            self.square + other.square,
            self.padded,
            self.align_corners,
            self.count + other.count,
        )

    def as_segmentation(self, size: tuple[int, int]) -> Segmentation:
        """Return the mean distribution as logits of pixels, beside what `measured` reads.

        The logits cover what the first answer's maps cover, so that both can be read together.

        Args:
            size: `(H, W)` of the images.
        """
        mean = self.log_sum - math.log(self.count)
        variance = (self.square / self.count - mean.exp().square().sum(1)).clamp_min(0)
        features = {OWN_ENTROPY: (self.entropy / self.count)[:, None], VARIANCE: variance[:, None]}
        logits = grown_to(mean, self.padded)
        return Segmentation(logits, size, self.padded, self.align_corners, features)


def measured(segmentation: Segmentation, measure: str) -> Tensor:
    """Return a measure of what `Disagreement.as_segmentation` holds, `(B, H, W)` float32.

    Args:
        segmentation: the mean distribution with its features.
        measure: `entropy`, of the mean distribution, in nats; `mutual_information`, that entropy
            less the mean entropy of the single answers; `variance`, summed over the classes.
    """
    if measure == "variance":
        return segmentation.features[VARIANCE][:, 0].float()
    of_mean = entropy(segmentation.image_logits().float().log_softmax(1))
    if measure == "entropy":
        return of_mean
    return of_mean - segmentation.features[OWN_ENTROPY][:, 0].float()


def explained(segmentation: Segmentation) -> dict[str, Tensor]:
    """Return what the answers leave open, and where they disagree, as maps to draw."""
    return {
        "entropy of the mean": measured(segmentation, "entropy"),
        "mean entropy of each": segmentation.features[OWN_ENTROPY][:, 0],
        "mutual information": measured(segmentation, "mutual_information"),
    }
