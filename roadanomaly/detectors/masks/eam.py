"""EAM: no mask that is sure of its class covers the pixel."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from roadanomaly.detectors.base import Detector
from roadanomaly.types import Segmentation


class Eam(Detector):
    """One minus the masks over a pixel, each weighted by how sure it is of its class.

    Source: Grcic et al., 2023, equation 4: `1 - sum_q sigmoid(M_q) max_k P_qk`, the masks at
    image size. At most 1; below 0 where sure masks overlap.
    """

    kind = "posthoc"
    accepts = ("masks",)
    paper = "Grcic et al., On Advantages of Mask-level Recognition for Outlier-aware ..., 2023"

    def options(self) -> dict[str, Any]:
        """Return the constructor options: there are none."""
        return {}

    def score(self, segmentation: Segmentation, image: Tensor) -> Tensor:
        """Return `1 - sum_q sigmoid(M_q) max_k P_qk`, `(B, H, W)`."""
        surest = segmentation.need_masks().probabilities.amax(2, keepdim=True)
        return 1 - segmentation.weighted_masks(surest)[:, 0]
