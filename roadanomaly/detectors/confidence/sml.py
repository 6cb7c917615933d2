"""Standardized max logits: the largest logit, measured by what its class usually reaches."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from roadanomaly.detectors.base import Detector, Pass
from roadanomaly.errors import DataError, OptionError
from roadanomaly.segmenters.base import Segmenter
from roadanomaly.types import Batch, Segmentation, is_inlier

FLATTEST = 1e-6
"""Least deviation that is divided by, as a share of the largest logits' size."""


class StandardizedMaxLogits(Detector):
    """Minus the largest logit, standardised by mean and deviation of its class, unbounded.

    With the predicted class `c = argmax_k s_k` the score is `-(s_c - m_c) / d_c`; `m_c` and `d_c`
    are mean and standard deviation of the largest logit over inlier pixels that were predicted as
    `c`. Counts and sums are streamed in float64, on logits at image size.

    Args:
        min_pixels: inlier pixels that a class needs for statistics of its own; one that has fewer
            takes those of all pixels together.

    Raises:
        OptionError: fewer than 2 pixels asked for.

    Source: Jung et al., 2021, equations 1 to 4. Differs from the public code: the statistics are
    taken over all frames that are given, and not over the first 50 batches; a class that is never
    predicted there has the statistics of all pixels in place of NaN; pixels of a labelled anomaly,
    of void and of padding are left out. The paper's two further steps are the refiners
    `boundary_suppression` and `dilated_smoothing`, which follow any detector.
    """

    kind = "fit"
    fit_passes = (Pass("fit"),)
    paper = "Jung et al., Standardized Max Logits, ICCV 2021"

    count: Tensor
    total: Tensor
    square: Tensor
    means: Tensor
    deviations: Tensor

    def __init__(self, min_pixels: int = 100) -> None:
        super().__init__()
        if min_pixels < 2:
            msg = f"sml: `min_pixels` must be at least 2, not {min_pixels}."
            raise OptionError(msg)
        self.min_pixels = min_pixels

    def options(self) -> dict[str, Any]:
        """Return the constructor options."""
        return {"min_pixels": self.min_pixels}

    def attach(self, segmenter: Segmenter) -> None:
        """Make room for the statistics of each class."""
        classes = len(segmenter.classes)
        for name in ("count", "total", "square"):
            zeros = torch.zeros(classes, dtype=torch.float64)
            self.register_buffer(name, zeros, persistent=False)
        self.register_buffer("means", torch.zeros(classes))
        self.register_buffer("deviations", torch.ones(classes))

    def begin(self, name: str) -> None:
        """Start with empty sums."""
        super().begin(name)
        for sums in (self.count, self.total, self.square):
            sums.zero_()

    def update(self, segmentation: Segmentation, batch: Batch, name: str) -> None:
        """Add a batch's inlier pixels to the sums of the classes that they are predicted as."""
        del name
        largest, classes = segmentation.image_logits().max(1)
        inlier = is_inlier(batch.label)
        values, owner = largest[inlier].double(), classes[inlier]
        self.count.index_add_(0, owner, torch.ones_like(values))
        self.total.index_add_(0, owner, values)
        self.square.index_add_(0, owner, values.square())

    def finish(self, name: str) -> None:
        """Turn the sums into mean and deviation of each class."""
        del name
        if self.count.sum() < self.min_pixels:
            msg = (
                f"sml: the frames hold {int(self.count.sum())} inlier pixels, and `min_pixels` is "
                f"{self.min_pixels}; fit on labelled or ordinary frames."
            )
            raise DataError(msg)
        mean, deviation = _moments(self.count, self.total, self.square)
        own = self.count >= self.min_pixels
        everywhere = _moments(self.count.sum(), self.total.sum(), self.square.sum())
        self.means = torch.where(own, mean, everywhere[0]).float()
        self.deviations = torch.where(own, deviation, everywhere[1]).float()
        self.ready = True

    def score(self, segmentation: Segmentation, image: Tensor) -> Tensor:
        """Return `-(max_k s_k - m_c) / d_c`, `(B, H, W)`."""
        self.require()
        largest, classes = segmentation.image_logits().float().max(1)
        return (self.means[classes] - largest) / self.deviations[classes]


def _moments(count: Tensor, total: Tensor, square: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation, the latter above 0."""
    count = count.clamp_min(1)
    mean = total / count
    size = (square / count).sqrt()
    deviation = (square / count - mean.square()).clamp_min(0).sqrt()
    return mean, torch.maximum(deviation, (FLATTEST * size).clamp_min(FLATTEST))
