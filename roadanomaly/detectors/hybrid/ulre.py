"""ULRE: evidence for known and unknown, learned on frozen features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from roadanomaly.detectors.base import Detector
from roadanomaly.detectors.grid import at_logits
from roadanomaly.detectors.hybrid.pixel_mlp import pixel_mlp, sides
from roadanomaly.detectors.losses import at_least_single, masked_mean
from roadanomaly.errors import OptionError, nearest
from roadanomaly.segmenters.base import Segmenter
from roadanomaly.segmenters.closed_set import labels_at
from roadanomaly.types import Batch, Segmentation

Risk = Literal["log", "squared"]
RISKS: tuple[str, ...] = ("log", "squared")
Score = Literal["share", "ratio"]
SCORES: tuple[str, ...] = ("share", "ratio")

SLOPE = 0.01
"""Of the leaky ReLU below 0."""

MOST = 30.0
"""Logits above it count as it, so that their exponential is finite."""


class ULRE(Detector):
    """Share of the evidence that speaks for unknown, of a Beta distribution at every pixel.

    A small network on a frozen map gives two logits `o`; `alpha = exp(o) + 1` are the parameters of
    a Beta distribution over known and unknown. It learns by an evidential risk, negatives against
    inliers, and by the divergence from the uniform distribution of what speaks for the wrong side,
    whose weight grows over the training.

    Args:
        feature: map that is read, such as `block20` of a transformer; None takes the segmenter's
            default.
        hidden: widths of the network's layers.
        risk: `log`, the negative log of the expected likelihood, or `squared`, the expected squared
            error.
        divergence: weight of the divergence at the end of training.
        anneal: share of the training over which that weight grows from 0.
        score_by: `share`, `alpha_out / (alpha_in + alpha_out)`, or `ratio`, the logarithm of
            `alpha_out / alpha_in`, which is the same order.

    Raises:
        OptionError: a value out of range.

    Source: the evidential losses are those of Sensoy et al., 2018, equations 3 to 5, as ULRE
    (2025) takes them for known against unknown. Differs from the public code: logits are capped at
    30; risks are means over the pixels of inliers and negatives, void apart. The published
    smoothing of the score is the refiner `blur`.
    """

    kind = "train"
    supervision = "negatives"
    accepts = ("logits", "evidence")
    paper = "ULRE, unknown likelihood ratio estimation, ICCV 2025; Sensoy et al., Evidential " + (
        "Deep Learning to Quantify Classification Uncertainty, NeurIPS 2018"
    )

    network: nn.Sequential

    def __init__(
        self,
        feature: str | None = None,
        hidden: Sequence[int] = (512, 256),
        risk: Risk = "log",
        divergence: float = 1.0,
        anneal: float = 1.0,
        score_by: Score = "share",
    ) -> None:
        super().__init__()
        if risk not in RISKS:
            msg = f"ulre: `risk` {risk!r} is unknown; {nearest(risk, RISKS)}"
            raise OptionError(msg)
        if score_by not in SCORES:
            msg = f"ulre: `score_by` {score_by!r} is unknown; {nearest(score_by, SCORES)}"
            raise OptionError(msg)
        if any(width < 1 for width in hidden) or divergence < 0 or not 0 <= anneal <= 1:
            msg = (
                "ulre: the widths of `hidden` must be at least 1, `divergence` not negative and "
                "`anneal` in 0..1."
            )
            raise OptionError(msg)
        self.feature, self.hidden = feature, tuple(hidden)
        self.risk, self.divergence = risk, divergence
        self.anneal, self.score_by = anneal, score_by
        self.passes = self.expected = 0
        self.keep_plain("passes", "expected")

    def options(self) -> dict[str, Any]:
        """Return the constructor options."""
        return {
            "feature": self.feature,
            "hidden": list(self.hidden),
            "risk": self.risk,
            "divergence": self.divergence,
            "anneal": self.anneal,
            "score_by": self.score_by,
        }

    def attach(self, segmenter: Segmenter) -> None:
        """Build the network on the map."""
        self.feature = self.feature or segmenter.default_feature
        inputs = segmenter.feature(self.feature).channels
        self.network = pixel_mlp(inputs, [*self.hidden, 2], SLOPE)

    @property
    def needs(self) -> tuple[str, ...]:
        """The map that is read."""
        return (self.feature,) if self.feature else ()

    def expect(self, passes: int) -> None:
        """Hear how many training passes are to come, for the divergence's weight."""
        self.expected = passes

    def grown(self) -> float:
        """Return the share of the divergence's weight that has been reached, 0..1."""
        phase = self.anneal * self.expected
        return min(1.0, self.passes / phase) if phase else 1.0

    def alphas(self, segmentation: Segmentation) -> Tensor:
        """Return the Beta parameters, `(B, 2, h, w)` on the logits' grid; index 1 is "out"."""
        found = at_least_single(self.network(segmentation.features[self.needs[0]]))
        return at_logits(found, segmentation).clamp_max(MOST).exp() + 1

    def loss(self, segmentation: Segmentation, batch: Batch) -> dict[str, Tensor]:
        """Return the risk, and the divergence times its weight so far."""
        self.ready = True
        negative, counted = sides(labels_at(batch.label, segmentation))
        risk, divergence = evidential_losses(self.alphas(segmentation), negative, self.risk)
        weight = self.divergence * self.grown()
        if self.training:
            self.passes += 1
        return {
            "risk": masked_mean(risk, counted),
            "divergence": weight * masked_mean(divergence, counted),
        }

    def score(self, segmentation: Segmentation, image: Tensor) -> Tensor:
        """Return the share or the log ratio, `(B, H, W)`."""
        return segmentation.to_image(self.native(segmentation, image))

    def native(self, segmentation: Segmentation, image: Tensor) -> Tensor:
        """Return the same on the logits' grid, `(B, h, w)`."""
        del image
        self.require()
        known, unknown = self.alphas(segmentation).unbind(1)
        if self.score_by == "ratio":
            return unknown.log() - known.log()
        return unknown / (known + unknown)

    def explain(self, segmentation: Segmentation, image: Tensor) -> dict[str, Tensor]:
        """Return the evidence of either side, and how little there is of both."""
        del image
        self.require()
        known, unknown = self.alphas(segmentation).unbind(1)
        return {
            "evidence for known, ln alpha": known.log(),
            "evidence for unknown, ln alpha": unknown.log(),
            "uncertainty, 2 / (alpha_in + alpha_out)": 2 / (known + unknown),
        }


def evidential_losses(alpha: Tensor, negative: Tensor, risk: Risk) -> tuple[Tensor, Tensor]:
    """Return each pixel's risk and its divergence, `(B, h, w)` nats or squares.

    With `a` of the true side and `b` of the other, `S = a + b`: the risk `log` is `ln S - ln a`,
    `squared` is `2 (b / S)^2 + 2 a b / (S^2 (S + 1))`; the divergence of `Beta(1, b)` from the
    uniform distribution is `ln b - (b - 1) / b`.

    Args:
        alpha: `(B, 2, h, w)`, above 1.
        negative: `(B, h, w)` bool: where the true side is "out".
        risk: which.
    """
    known, unknown = alpha.unbind(1)
    own = torch.where(negative, unknown, known)
    other = torch.where(negative, known, unknown)
    total = own + other
    divergence = other.log() - (other - 1) / other
    if risk == "log":
        return total.log() - own.log(), divergence
    share = other / total
    spread = share * (1 - share) / (total + 1)
    return 2 * share.square() + 2 * spread, divergence
