"""UNO: a class for the unknown among a mask network's classes, and doubt about the others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from roadanomaly.catalogue import called
from roadanomaly.detectors.masks.fine_tuning import MaskTuning, Moves
from roadanomaly.errors import KindError, OptionError
from roadanomaly.segmenters.base import Segmenter
from roadanomaly.types import NEGATIVE, Batch, Masks, Segmentation


class Uno(MaskTuning):
    """The masks over a pixel, each weighted by the unknown class less its surest known one.

    Each query names one of K known classes, the unknown one or "no object"; `P` is the softmax over
    these. The score is `-sum_q sigmoid(M_q) (max_(k<=K) P_qk - P_q,K+1)`. Negatives are a class
    like any other to the matching loss, so that they have masks of their own.

    Args:
        moves: of the segmenter's parameters, beside the new class: as published `all`; the
            `decoder`; or the `heads`.

    Raises:
        OptionError: nothing moves; without training there is no unknown class.

    Source: Delic, Grcic, Segvic, 2024, section 3: the score is the probability of the unknown class
    plus the uncertainty `-max_k P_k`, aggregated over masks. As published the class starts at
    weights of 0 and weighs 1 in the matching loss, like a known one; "no object" weighs what the
    network's config says (`no_object_weight`, as published 0.1). Negatives are pasted, or samples
    of the source `flow`, which learns with it: the gradient of the matching loss reaches the flow
    through the image (the authors' code rounds the samples, which cuts it).
    """

    asks = ("answer",)
    needs_source = True
    kind = "finetune"
    paper = (
        "Delic et al., Outlier Detection by Ensembling Uncertainty with Negative Objectness, "
        + ("BMVC 2024")
    )

    head: nn.Linear

    def __init__(self, moves: Moves = "all") -> None:
        if moves == "nothing":
            msg = "uno: `moves` must be heads, decoder or all: the unknown class has to be learned."
            raise OptionError(msg)
        super().__init__(moves)

    def options(self) -> dict[str, Any]:
        """Return the constructor options."""
        return {"moves": self.moved}

    def check_kind(self, segmenter: Segmenter) -> None:
        """Refuse a segmenter that does not tell what its classes are named from, too.

        Raises:
            KindError: says what is wanted and what there is.
        """
        super().check_kind(segmenter)
        if not segmenter.query_width:
            msg = (
                f"uno: `{called(segmenter)}` does not tell what it names its masks' classes "
                "from, so none can be added: take `transformers` with Mask2Former or EoMT."
            )
            raise KindError(msg)

    def attach(self, segmenter: Segmenter) -> None:
        """Build the unknown class, with weights of 0."""
        self.head = nn.Linear(segmenter.query_width, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def look(self, segmenter: Segmenter, image: Tensor) -> Segmentation:
        """Segment, the unknown class after the known ones; `extra` is its evidence."""
        found = segmenter(image, self.needs)
        masks = self._grown(found.need_masks())
        evidence = masks.weighted(masks.probabilities)
        known = len(segmenter.classes)
        return replace(found, logits=evidence[:, :known], extra=evidence[:, known:], masks=masks)

    def _grown(self, masks: Masks) -> Masks:
        assert masks.queries is not None
        known, nothing = masks.classes[..., :-1], masks.classes[..., -1:]
        unknown = self.head(masks.queries)
        return replace(
            masks,
            classes=torch.cat([known, unknown.to(known.dtype), nothing], 2),
            layers=tuple(self._grown(one) for one in masks.layers),
        )

    def taught(self, segmentation: Segmentation, batch: Batch) -> tuple[Segmentation, Tensor]:
        """Return labels in which negatives are the class after the known ones."""
        unknown = segmentation.logits.shape[1]
        return segmentation, batch.label.masked_fill(batch.label == NEGATIVE, unknown)

    def loss(self, segmentation: Segmentation, batch: Batch) -> dict[str, Tensor]:
        """Return no term: all that it learns is in the segmenter's own loss."""
        self.ready = True
        return {}

    def score(self, segmentation: Segmentation, image: Tensor) -> Tensor:
        """Return `sum_q sigmoid(M_q) (P_q,K+1 - max_(k<=K) P_qk)`, `(B, H, W)`."""
        unknown, doubt = self._parts(segmentation)
        return unknown + doubt

    def explain(self, segmentation: Segmentation, image: Tensor) -> dict[str, Tensor]:
        """Return the two parts that the score is the sum of, `(B, H, W)` each."""
        unknown, doubt = self._parts(segmentation)
        return {"the unknown class": unknown, "doubt about the known ones": doubt}

    def _parts(self, segmentation: Segmentation) -> tuple[Tensor, ...]:
        self.require()
        chances = segmentation.need_masks().probabilities
        weights = torch.stack([chances[..., -1], -chances[..., :-1].amax(2)], 2)
        return segmentation.weighted_masks(weights).unbind(1)
