"""Maximum logit: no class claims the pixel strongly."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from roadanomaly.detectors.base import Detector
from roadanomaly.types import Segmentation


class MaxLogit(Detector):
    """Minus the largest logit, unbounded.

    Source: Hendrycks et al., 2022, section 3.2 (sign as in the paper: higher = more anomalous).
    """

    kind = "posthoc"
    paper = "Hendrycks et al., Scaling Out-of-Distribution Detection for Real-World Settings, 2022"

    def options(self) -> dict[str, Any]:
        """Return the constructor options: there are none."""
        return {}

    def score(self, segmentation: Segmentation, image: Tensor) -> Tensor:
        """Return `-max_k s_k`, `(B, H, W)`."""
        return -segmentation.image_logits().float().amax(1)
