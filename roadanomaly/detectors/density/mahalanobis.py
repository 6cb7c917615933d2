"""Mahalanobis distance of a pixel's feature to the nearest class mean."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from roadanomaly.detectors.base import Detector, Pass
from roadanomaly.detectors.density.moments import shrunk
from roadanomaly.errors import OptionError
from roadanomaly.segmenters.base import Segmenter
from roadanomaly.segmenters.closed_set import labels_at
from roadanomaly.types import Batch, Segmentation


class Mahalanobis(Detector):
    """Squared Mahalanobis distance to the nearest class, one covariance shared by all classes.

    Sums, outer products and counts are streamed in float64, so memory depends on the feature's
    width alone. Classes with fewer pixels than `min_pixels` are left out.

    Args:
        feature: name of the segmenter's map to use; None takes the segmenter's default.
        shrinkage: in 0..1; the covariance is `(1 - shrinkage) C + shrinkage tr(C)/d I`.
        min_pixels: feature pixels that a class needs to count as known.

    Source: Lee et al., 2018, equations 1 and 2, on pixels as in Chan et al., 2021
    (SegmentMeIfYouCan). Differs: a little shrinkage, and neither input perturbation nor an
    ensemble over layers.
    """

    kind = "fit"
    fit_passes = (Pass("fit"),)
    accepts = ("logits", "evidence")
    reads_classes = True
    paper = "Lee et al., A Simple Unified Framework for Detecting OOD Samples, NeurIPS 2018"

    count: Tensor
    total: Tensor
    outer: Tensor
    means: Tensor
    precision: Tensor
    present: Tensor

    def __init__(
        self, feature: str | None = None, shrinkage: float = 1e-3, min_pixels: int = 50
    ) -> None:
        super().__init__()
        if not 0 <= shrinkage <= 1:
            msg = f"mahalanobis: `shrinkage` must lie in 0..1, not {shrinkage}."
            raise OptionError(msg)
        self.feature = feature
        self.shrinkage = shrinkage
        self.min_pixels = min_pixels

    def options(self) -> dict[str, Any]:
        """Return the constructor options."""
        return {
            "feature": self.feature,
            "shrinkage": self.shrinkage,
            "min_pixels": self.min_pixels,
        }

    def attach(self, segmenter: Segmenter) -> None:
        """Size the statistics by the segmenter's classes and the feature's width."""
        self.feature = self.feature or segmenter.default_feature
        width, classes = segmenter.feature(self.feature).channels, len(segmenter.classes)
        double = torch.float64
        self.register_buffer("count", torch.zeros(classes, dtype=double), persistent=False)
        self.register_buffer("total", torch.zeros(classes, width, dtype=double), persistent=False)
        self.register_buffer("outer", torch.zeros(width, width, dtype=double), persistent=False)
        self.register_buffer("means", torch.zeros(classes, width))
        self.register_buffer("precision", torch.zeros(width, width))
        self.register_buffer("present", torch.zeros(classes, dtype=torch.bool))

    @property
    def needs(self) -> tuple[str, ...]:
        """The one feature map."""
        return (self.feature,) if self.feature else ()

    def begin(self, name: str) -> None:
        """Start with empty sums."""
        super().begin(name)
        for sums in (self.count, self.total, self.outer):
            sums.zero_()

    def update(self, segmentation: Segmentation, batch: Batch, name: str) -> None:
        """Add the known pixels of a batch to the sums."""
        del name
        found = segmentation.features[self.needs[0]]
        label = labels_at(batch.label, replace(segmentation, logits=found)).flatten()
        known = label < len(self.count)
        label = label[known]
        vectors = found.permute(0, 2, 3, 1).flatten(0, 2)[known].double()
        self.count.index_add_(0, label, torch.ones_like(label, dtype=torch.float64))
        self.total.index_add_(0, label, vectors)
        self.outer += vectors.T @ vectors

    def finish(self, name: str) -> None:
        """Turn the sums into class means and the inverse of the shared covariance."""
        del name
        self.present = self.count >= self.min_pixels
        if not self.present.any():
            msg = (
                f"mahalanobis: no class has {self.min_pixels} labelled pixels; fit on more "
                "labelled frames, or lower `min_pixels`."
            )
            raise OptionError(msg)
        means = self.total / self.count.clamp_min(1)[:, None]
        between = (means * self.count[:, None]).T @ means
        covariance = (self.outer - between) / self.count.sum()
        self.means = means.float()
        self.precision = torch.linalg.pinv(
            shrunk(covariance, self.shrinkage), hermitian=True
        ).float()
        self.ready = True

    def score(self, segmentation: Segmentation, image: Tensor) -> Tensor:
        """Return `min_k (f - m_k)^T P (f - m_k)`, `(B, H, W)`; float32, whatever autocast says."""
        self.require()
        found = segmentation.features[self.needs[0]].float()
        vectors = found.permute(0, 2, 3, 1)
        nearest = torch.full_like(vectors[..., 0], torch.inf)
        for mean, present in zip(self.means, self.present, strict=True):
            offset = vectors - mean
            with torch.autocast(offset.device.type, enabled=False):
                distance = ((offset @ self.precision) * offset).sum(-1)
            nearest = torch.minimum(nearest, distance.masked_fill(~present, torch.inf))
        return segmentation.to_image(nearest)
