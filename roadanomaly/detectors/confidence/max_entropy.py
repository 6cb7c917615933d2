"""Maximized entropy: sure of every known class, and of no class on foreign pictures."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor

from roadanomaly.detectors.base import Detector
from roadanomaly.detectors.losses import at_least_single
from roadanomaly.detectors.softmax import entropy
from roadanomaly.errors import OptionError
from roadanomaly.segmenters.closed_set import labels_at
from roadanomaly.types import NEGATIVE, Batch, Segmentation, is_known


class MaxEntropy(Detector):
    """Trained to say all K classes alike on negatives; scored by the entropy of the softmax.

    The loss is the cross-entropy to soft targets, averaged over all labelled pixels of a batch: of
    a known pixel its class, weighted by `1 - weight`; of a negative the uniform distribution,
    weighted by `weight`. It takes the place of the segmenter's own. The score is `H(p) / ln K`.

    Args:
        weight: of negatives against known pixels, in 0..1; lambda of the paper.

    Raises:
        OptionError: a weight beyond 0..1.

    Source: Chan, Rottmann, Gottschalk, 2021, equations 1 to 4, with lambda 0.9 as published; the
    negatives are foreign pictures (source `whole_pictures`), all of them or, nearer to the public
    code, their objects. Differs from that code: it divides by K as well and counts void pixels in
    its mean, which weakens the loss without moving its balance; here BatchNorm stays as it is
    unless a config says otherwise (`freeze_batch_norm`). As there, and unlike equation 4, both
    expectations are one mean over the pixels of a batch, so the share of foreign pictures counts
    beside lambda. The second part of the paper is the refiner `meta_classification`.
    """

    kind = "finetune"
    supervision = "negatives"
    needs_source = True
    closed_set = False
    paper = "Chan et al., Entropy Maximization and Meta Classification, ICCV 2021"

    def __init__(self, weight: float = 0.9) -> None:
        super().__init__()
        if not 0 <= weight <= 1:
            msg = f"max_entropy: `weight` must lie in 0..1, not {weight:g}."
            raise OptionError(msg)
        self.weight = weight

    def options(self) -> dict[str, Any]:
        """Return the constructor options."""
        return {"weight": self.weight}

    def loss(self, segmentation: Segmentation, batch: Batch) -> dict[str, Tensor]:
        """Return both cross-entropies, each its share of the mean over labelled pixels."""
        self.ready = True
        label = labels_at(batch.label, segmentation)
        known, negative = is_known(label), label == NEGATIVE
        logits = at_least_single(segmentation.logits)
        log_p = logits.log_softmax(1)
        own = log_p.gather(1, label.masked_fill(~known, 0)[:, None])[:, 0]
        count = (known | negative).sum().clamp_min(1)
        return {
            "known": -(1 - self.weight) * (own * known).sum() / count,
            "uniform": -self.weight * (log_p.mean(1) * negative).sum() / count,
        }

    def score(self, segmentation: Segmentation, image: Tensor) -> Tensor:
        """Return the entropy as a share of its greatest value, `(B, H, W)` in 0..1."""
        self.require()
        logits = segmentation.image_logits().float()
        log_p = logits.log_softmax(1)
        return entropy(log_p) / math.log(max(2, logits.shape[1]))
