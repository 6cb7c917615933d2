"""EAM: no mask that is sure of its class covers the pixel."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from roadanomaly.detectors.masks.fine_tuning import MaskTuning, Moves
from roadanomaly.types import Batch, Segmentation


class Eam(MaskTuning):
    """One minus the masks over a pixel, each weighted by how sure it is of its class.

    At most 1; below 0 where sure masks overlap. Fine-tuned, it has no loss of its own: the matching
    loss learns negatives as content of no mask, which pushes every mask that was matched away from
    them, as published.

    Args:
        moves: of the segmenter's parameters `nothing`, the score alone; as published `all`; the
            `heads`; or the `decoder`.

    Source: Grcic et al., 2023, equation 4: `1 - sum_q sigmoid(M_q) max_k P_qk`, the masks at
    image size, and section 4.2. Differs from the public code: there all pixels without a label
    push the masks away; here negatives alone do.
    """

    paper = "Grcic et al., On Advantages of Mask-level Recognition for Outlier-aware ..., 2023"

    def __init__(self, moves: Moves = "nothing") -> None:
        super().__init__(moves)

    def options(self) -> dict[str, Any]:
        """Return the constructor options."""
        return {"moves": self.moved}

    def loss(self, segmentation: Segmentation, batch: Batch) -> dict[str, Tensor]:
        """Return no term: all that it learns is in the segmenter's own loss."""
        if self.kind == "posthoc":
            return super().loss(segmentation, batch)
        self.ready = True
        return {}

    def score(self, segmentation: Segmentation, image: Tensor) -> Tensor:
        """Return `1 - sum_q sigmoid(M_q) max_k P_qk`, `(B, H, W)`."""
        self.require()
        surest = segmentation.need_masks().probabilities.amax(2, keepdim=True)
        return 1 - segmentation.weighted_masks(surest)[:, 0]
