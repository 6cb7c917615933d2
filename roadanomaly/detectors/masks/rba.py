"""RbA: a pixel that every known class rejects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from roadanomaly.detectors.losses import at_least_single, masked_mean
from roadanomaly.detectors.masks.fine_tuning import MaskTuning, Moves
from roadanomaly.errors import OptionError
from roadanomaly.segmenters.closed_set import labels_at
from roadanomaly.types import NEGATIVE, Batch, Segmentation, is_inlier


class Rba(MaskTuning):
    """Minus the summed, squashed evidence for the known classes, in -K to 0.

    The score is `-sum_k tanh(E_k)` with the evidence `E_k = sum_q P_qk sigmoid(M_q)`. Fine-tuned,
    it costs `weight (mean relu(score - low)^2 over inliers + mean relu(high - score)^2 over
    negatives) / 2` beside the matching loss.

    Args:
        moves: of the segmenter's parameters `nothing`, the score alone; as published the `heads`,
            two small networks of each query; the `decoder`; or `all`.
        margins: scores that inliers are to stay below and negatives above, the lower first.
        weight: of the hinge.
        rejects: teach the matching loss that negatives belong to no mask.

    Raises:
        OptionError: a value out of range.

    Source: Nayal et al., 2023, equation 5 and section 3.3; margins and the half as in the public
    code. One sure class has the score -tanh(1) = -0.76, so with the low margin -1 inliers are
    always pushed, as published. Differs: scored at image size and learned at the masks' stride;
    ordinary content of unknown class counts as an inlier.
    """

    paper = "Nayal et al., RbA: Segmenting Unknown Regions Rejected by All, ICCV 2023"

    def __init__(
        self,
        moves: Moves = "nothing",
        margins: Sequence[float] = (-1.0, -0.1),
        weight: float = 1.0,
        rejects: bool = True,
    ) -> None:
        if len(margins) != 2 or margins[0] > margins[1]:
            msg = f"rba: `margins` are two scores, the lower first, not {list(margins)}."
            raise OptionError(msg)
        if weight <= 0:
            msg = f"rba: `weight` must be positive, not {weight:g}."
            raise OptionError(msg)
        super().__init__(moves, rejects)
        self.margins = (float(margins[0]), float(margins[1]))
        self.weight = weight

    def options(self) -> dict[str, Any]:
        """Return the constructor options."""
        return {**super().options(), "margins": list(self.margins), "weight": self.weight}

    def loss(self, segmentation: Segmentation, batch: Batch) -> dict[str, Tensor]:
        """Return both sides of the hinge, weighted."""
        if self.kind == "posthoc":
            return super().loss(segmentation, batch)
        self.ready = True
        label = labels_at(batch.label, segmentation)
        score = rejection(at_least_single(segmentation.logits))
        low, high = self.margins
        above, below = (score - low).relu().square(), (high - score).relu().square()
        return {
            "rba_inliers": self.weight / 2 * masked_mean(above, is_inlier(label)),
            "rba_negatives": self.weight / 2 * masked_mean(below, label == NEGATIVE),
        }

    def score(self, segmentation: Segmentation, image: Tensor) -> Tensor:
        """Return `-sum_k tanh(E_k)`, `(B, H, W)`."""
        self.require()
        masks = segmentation.need_masks()
        return rejection(segmentation.weighted_masks(masks.probabilities))


def rejection(evidence: Tensor) -> Tensor:
    """Return `-sum_k tanh(E_k)`, `(B, h, w)`, of evidence `(B, K, h, w)`."""
    return -evidence.tanh().sum(1)
