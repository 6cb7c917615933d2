"""The mean of a score over a segment: an object is judged as one."""

from __future__ import annotations

from typing import Any, Literal

import cv2
import numpy as np
import torch
from torch import Tensor

from roadanomaly.errors import KindError, OptionError, nearest
from roadanomaly.refiners.base import Refiner
from roadanomaly.segmenters.base import Segmenter
from roadanomaly.types import Segmentation

By = Literal["classes", "queries"]
BYS: tuple[str, ...] = ("classes", "queries")


class SegmentMean(Refiner):
    """Gives every pixel of a segment the mean score of the segment.

    Segments are what the network itself tells apart: the 8-connected regions of its class map, or
    of a mask network the pixels at which a query is strongest. A region of a class may be all of
    the road, whose mean would drown an obstacle that is taken for road, so segments larger than
    `largest` keep their pixels' scores.

    Args:
        by: `classes` or `queries`.
        largest: share of the image above which a segment keeps its scores, in 0..1.

    Raises:
        OptionError: a value out of range.

    Source: the averaging of Objectomaly, 2025, which takes the masks of SAM; here no second network
    is asked.
    """

    grid = "image"
    exports = False

    def __init__(self, by: By = "classes", largest: float = 0.05) -> None:
        super().__init__()
        if by not in BYS:
            msg = f"segments: `by` {by!r} is unknown; {nearest(by, BYS)}"
            raise OptionError(msg)
        if not 0 < largest <= 1:
            msg = f"segments: `largest` must lie above 0 and be at most 1, not {largest:g}."
            raise OptionError(msg)
        self.by = by
        self.largest = largest

    def options(self) -> dict[str, Any]:
        """Return the constructor options."""
        return {"by": self.by, "largest": self.largest}

    def attach(self, segmenter: Segmenter) -> None:
        """Refuse a segmenter without queries, where these are the segments.

        Raises:
            KindError: it answers no masks.
        """
        if self.by == "queries" and "masks" not in segmenter.answers:
            msg = (
                f"segments: `by: queries` needs a mask network, and {type(segmenter).__name__} "
                "answers logits; take `by: classes`."
            )
            raise KindError(msg)

    def forward(self, score: Tensor, segmentation: Segmentation, image: Tensor) -> Tensor:
        """Average, `(B, H, W)`."""
        del image
        if self.by == "queries":
            segments = strongest_queries(segmentation)
        else:
            maps = segmentation.classes().cpu().numpy()
            segments = torch.from_numpy(np.stack([regions(one) for one in maps]))
        averaged = [
            segment_mean(one, here, self.largest)
            for one, here in zip(score, segments.to(score.device), strict=True)
        ]
        return torch.stack(averaged)


def segment_mean(score: Tensor, segments: Tensor, largest: float = 1.0) -> Tensor:
    """Return the mean of a score over each segment.

    Args:
        score: `(H, W)` float.
        segments: `(H, W)` int64, not negative: the number of each pixel's segment.
        largest: share of the pixels above which those of a segment keep their own.
    """
    place = segments.flatten()
    count = int(place.max()) + 1
    sums = torch.zeros(count, dtype=torch.float64, device=score.device)
    sums.index_add_(0, place, score.flatten().double())
    areas = torch.bincount(place, minlength=count)
    means = (sums / areas.clamp_min(1)).to(score.dtype)
    small = areas <= largest * score.numel()
    return torch.where(small[segments], means[segments], score)


def regions(labels: np.ndarray) -> np.ndarray:
    """Number the 8-connected regions of equal labels, `(H, W)` to `(H, W)` int64."""
    found = np.zeros(labels.shape, np.int64)
    total = 0
    for label in np.unique(labels):
        mask = labels == label
        count, parts = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
        found[mask] = total + parts[mask] - 1
        total += count - 1
    return found


def strongest_queries(segmentation: Segmentation) -> Tensor:
    """Return the query whose `max_k P_qk sigmoid(M_q)` is largest at each pixel, `(B, H, W)` int64.

    Raises:
        KindError: the segmenter answered no masks.
    """
    masks = segmentation.need_masks()
    sure = masks.probabilities.amax(2)
    best = torch.full((len(sure), *segmentation.size), -1.0, device=sure.device)
    numbers = torch.zeros_like(best, dtype=torch.int64)
    for query in range(sure.shape[1]):
        grown = segmentation.to_image(masks.masks[:, query].float()).sigmoid()
        strength = grown * sure[:, query, None, None]
        numbers = torch.where(strength > best, query, numbers)
        best = torch.maximum(best, strength)
    return numbers
