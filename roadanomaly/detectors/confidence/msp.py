"""Maximum softmax probability: unsure of every class means strange."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from roadanomaly.detectors.base import Detector
from roadanomaly.errors import OptionError
from roadanomaly.types import Segmentation


class MaxSoftmax(Detector):
    """One minus the largest softmax probability, in 0..1.

    Args:
        temperature: divides the logits; must be positive. 1 is the paper's.

    On the evidence of a mask network the probabilities are `E_k / sum_j E_j`: what the evidence
    lacks does not count; `rba` and `eam` are the scores that count it.

    Source: Hendrycks and Gimpel, 2017, section 2 (sign flipped: we score strangeness).
    """

    kind = "posthoc"
    accepts = ("logits", "evidence")
    paper = "Hendrycks and Gimpel, A Baseline for Detecting Misclassified and OOD Examples, 2017"

    def __init__(self, temperature: float = 1.0) -> None:
        super().__init__()
        if temperature <= 0:
            msg = f"msp: `temperature` must be positive, not {temperature}."
            raise OptionError(msg)
        self.temperature = temperature

    def options(self) -> dict[str, Any]:
        """Return the constructor options."""
        return {"temperature": self.temperature}

    def score(self, segmentation: Segmentation, image: Tensor) -> Tensor:
        """Return `1 - max_k softmax(s / T)_k`, `(B, H, W)`."""
        logits = segmentation.class_logits(segmentation.image_logits()) / self.temperature
        return 1 - (logits.amax(1) - logits.logsumexp(1)).exp()
