"""Mask2Anomaly: no class gathers enough evidence from the masks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from roadanomaly.detectors.losses import at_least_single, masked_mean
from roadanomaly.detectors.masks.fine_tuning import MaskTuning, Moves
from roadanomaly.detectors.masks.queries import queries_of_any
from roadanomaly.errors import OptionError, nearest
from roadanomaly.segmenters.base import Segmenter
from roadanomaly.segmenters.closed_set import labels_at
from roadanomaly.types import NEGATIVE, Batch, Masks, Segmentation, is_inlier


class Mask2Anomaly(MaskTuning):
    """One minus the largest evidence, less where a mask of a refining class lies.

    The score is `1 - max_k E_k` with `E_k = sum_q P_qk sigmoid(M_q)`, times
    `1 - max_q sigmoid(M_q)` over the refining queries. Fine-tuned, with `n = 1 - max_k E_k` it
    costs `weight (mean n^2 over inliers + mean relu(margin - n)^2 over negatives) / 2` beside the
    matching loss.

    Args:
        refine: names of classes whose sure masks are taken out of the score, such as sky or
            vegetation; none by default.
        sure: probability of its class above which a mask refines, in 0..1.
        moves: of the segmenter's parameters `nothing`, the score alone; as published `all`; the
            `heads`; or the `decoder`.
        margin: that negatives are to reach.
        weight: of the contrast.
        rejects: teach the matching loss that negatives belong to no mask.

    Raises:
        OptionError: a value out of range, or a class that the segmenter does not know.

    Source: Rai et al., 2023, section 4, the masks at image size. Differs from the public code: the
    contrast is taken of `n` in 0..1, where the code takes `n = -max_k E_k`, with which the inliers'
    term pulls their evidence to 0 and the negatives' never vanishes; the maximum runs over the K
    known classes alone (a slice there takes the wrong axis, so that other channels enter it); no
    flipped image is averaged in. Global mask attention, which looks at a query's background beside
    its foreground, is a network that has to be trained from the start, and the ones of transformers
    have no such layer: masked attention stays.
    """

    paper = "Rai et al., Unmasking Anomalies in Road-Scene Segmentation, ICCV 2023"

    def __init__(
        self,
        refine: Sequence[str] = (),
        sure: float = 0.95,
        moves: Moves = "nothing",
        margin: float = 1.0,
        weight: float = 1.0,
        rejects: bool = True,
    ) -> None:
        super().__init__(moves, rejects)
        for name, value in (("sure", sure), ("margin", margin)):
            if not 0 <= value <= 1:
                msg = f"mask2anomaly: `{name}` must be in 0..1, not {value}."
                raise OptionError(msg)
        if weight <= 0:
            msg = f"mask2anomaly: `weight` must be positive, not {weight:g}."
            raise OptionError(msg)
        self.margin = margin
        self.weight = weight
        self.refine = tuple(refine)
        self.sure = sure
        self.refining: tuple[int, ...] = ()

    def options(self) -> dict[str, Any]:
        """Return the constructor options."""
        return {
            **super().options(),
            "refine": list(self.refine),
            "sure": self.sure,
            "margin": self.margin,
            "weight": self.weight,
        }

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

    def loss(self, segmentation: Segmentation, batch: Batch) -> dict[str, Tensor]:
        """Return both sides of the contrast, weighted, at the masks' stride."""
        if self.kind == "posthoc":
            return super().loss(segmentation, batch)
        self.ready = True
        label = labels_at(batch.label, segmentation)
        lacking = 1 - at_least_single(segmentation.logits).amax(1)
        below = (self.margin - lacking).relu().square()
        return {
            "contrast_inliers": self.weight / 2 * masked_mean(lacking.square(), is_inlier(label)),
            "contrast_negatives": self.weight / 2 * masked_mean(below, label == NEGATIVE),
        }

    def score(self, segmentation: Segmentation, image: Tensor) -> Tensor:
        """Return `(1 - max_k E_k) (1 - R)`, `(B, H, W)`."""
        self.require()
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
