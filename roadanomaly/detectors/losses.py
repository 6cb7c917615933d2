"""Loss terms that several trained detectors share."""

from __future__ import annotations

from torch import Tensor

from roadanomaly.segmenters import closed_set
from roadanomaly.segmenters.closed_set import labels_at as labels_at
from roadanomaly.types import Batch, Segmentation


def closed_set_cross_entropy(segmentation: Segmentation, batch: Batch) -> Tensor:
    """Return the closed-set cross-entropy on a batch's labels."""
    return closed_set.closed_set_cross_entropy(segmentation, batch.label)


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of `values` where `mask` holds; 0, with a gradient of 0, where it holds nowhere."""
    return (values * mask).sum() / mask.sum().clamp_min(1)
