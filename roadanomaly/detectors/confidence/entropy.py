"""Entropy of the predicted class distribution."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from roadanomaly.detectors.base import Detector
from roadanomaly.detectors.softmax import entropy
from roadanomaly.types import Segmentation


class Entropy(Detector):
    """Shannon entropy of the softmax, in nats, 0 to ln K.

    On the evidence of a mask network the probabilities are `E_k / sum_j E_j`.

    Source: the softmax entropy baseline of Blum et al., 2021, Fishyscapes, section 4.
    """

    kind = "posthoc"
    accepts = ("logits", "evidence")
    paper = "Blum et al., The Fishyscapes Benchmark, IJCV 2021 (softmax entropy)"

    def options(self) -> dict[str, Any]:
        """Return the constructor options: there are none."""
        return {}

    def score(self, segmentation: Segmentation, image: Tensor) -> Tensor:
        """Return `-sum_k p_k ln p_k`, `(B, H, W)`."""
        log_p = segmentation.class_logits(segmentation.image_logits()).log_softmax(1)
        return entropy(log_p)
