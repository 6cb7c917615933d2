"""RbA: a pixel that every known class rejects."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from roadanomaly.detectors.base import Detector
from roadanomaly.types import Segmentation


class Rba(Detector):
    """Minus the summed, squashed evidence for the known classes, in -K to 0.

    Source: Nayal et al., 2023, equation 5: `-sum_k tanh(E_k)` with the evidence
    `E_k = sum_q P_qk sigmoid(M_q)` at image size. Their fine-tuning with negatives is not part of
    this score.
    """

    kind = "posthoc"
    accepts = ("masks",)
    paper = "Nayal et al., RbA: Segmenting Unknown Regions Rejected by All, ICCV 2023"

    def options(self) -> dict[str, Any]:
        """Return the constructor options: there are none."""
        return {}

    def score(self, segmentation: Segmentation, image: Tensor) -> Tensor:
        """Return `-sum_k tanh(E_k)`, `(B, H, W)`."""
        masks = segmentation.need_masks()
        return -segmentation.weighted_masks(masks.probabilities).tanh().sum(1)
