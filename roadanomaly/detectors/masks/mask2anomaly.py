"""Mask2Anomaly: no class gathers enough evidence from the masks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from roadanomaly.detectors.base import Detector
from roadanomaly.detectors.masks.queries import queries_of_any
from roadanomaly.errors import OptionError, nearest
from roadanomaly.segmenters.base import Segmenter
from roadanomaly.types import Masks, Segmentation


class Mask2Anomaly(Detector):
    """One minus the largest evidence, less where a mask of a refining class lies.

    Args:
        refine: names of classes whose sure masks are taken out of the score, such as sky or
            vegetation; none by default.
        sure: probability of its class above which a mask refines, in 0..1.

    Source: Rai et al., 2023, section 4: `1 - max_k E_k` with `E_k = sum_q P_qk sigmoid(M_q)` at
    image size, times `1 - max_q sigmoid(M_q)` over the refining queries. Differs from the public
    code: the maximum runs over the K known classes alone (a slice there takes the wrong axis, so
    that other channels enter it); no flipped image is averaged in; the training with mask
    contrasts is not part of this score.
    """

    kind = "posthoc"
    accepts = ("masks",)
    paper = "Rai et al., Unmasking Anomalies in Road-Scene Segmentation, ICCV 2023"

    def __init__(self, refine: Sequence[str] = (), sure: float = 0.95) -> None:
        super().__init__()
        if not 0 <= sure <= 1:
            msg = f"mask2anomaly: `sure` must be in 0..1, not {sure}."
            raise OptionError(msg)
        self.refine = tuple(refine)
        self.sure = sure
        self.refining: tuple[int, ...] = ()

    def options(self) -> dict[str, Any]:
        """Return the constructor options."""
        return {"refine": list(self.refine), "sure": self.sure}

    def attach(self, segmenter: Segmenter) -> None:
        """Look the refining classes up.

        Raises:
            OptionError: a class that the segmenter does not know.
        """
        for name in self.refine:
            if name not in segmenter.classes:
                hint = nearest(name, segmenter.classes)
                msg = f"mask2anomaly: `refine` names {name!r}, which is no class; {hint}"
                raise OptionError(msg)
        self.refining = tuple(segmenter.classes.index(name) for name in self.refine)

    def score(self, segmentation: Segmentation, image: Tensor) -> Tensor:
        """Return `(1 - max_k E_k) (1 - R)`, `(B, H, W)`."""
        masks = segmentation.need_masks()
        score = 1 - segmentation.weighted_masks(masks.probabilities).amax(1)
        return score * (1 - self._refinement(segmentation, masks)) if self.refining else score

    def _refinement(self, segmentation: Segmentation, masks: Masks) -> Tensor:
        """Return `R`: the largest mask, in 0..1, of a sure query of a refining class."""
        sure, likeliest = masks.probabilities.max(2)
        chosen = torch.zeros_like(sure, dtype=torch.bool)
        for index in self.refining:
            chosen |= (likeliest == index) & (sure > self.sure)
        found = torch.zeros(len(sure), *segmentation.size, device=sure.device)
        for query in queries_of_any(chosen):
            grown = segmentation.to_image(masks.masks[:, query].float()).sigmoid()
            found = found.maximum(grown * chosen[:, query, None, None])
        return found
