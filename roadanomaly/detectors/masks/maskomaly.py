"""Maskomaly: what the sure masks leave, and the queries that answer to anomalies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from roadanomaly.detectors.base import Detector
from roadanomaly.detectors.masks.queries import queries_of_any
from roadanomaly.errors import OptionError
from roadanomaly.types import Masks, Segmentation

BORDER = 0.1
"""Mask value above which two masks count as overlapping."""

LEFT, FOUND = 0.6, 0.4
"""Weights of the two parts of the score."""


class Maskomaly(Detector):
    """Adds what sure masks leave uncovered to the masks of queries that fire on anomalies.

    Args:
        anomaly_queries: queries whose masks are added. Which they are is a property of one
            trained network: the published ones were chosen by hand on the benchmark's validation
            frames for one checkpoint. Choose them on frames that you do not test on, and say so
            beside every figure; none by default.
        inlier_queries: queries whose masks are taken off, such as those of the road; none by
            default.
        sure: probability of its class above which a mask covers, in 0..1.

    Source: Ackermann et al., 2023, section 3: `0.6 min_q (1 - sigmoid(M_q) max_k P_qk)` over the
    sure queries that name a class, 0 where two of their masks overlap (both above 0.1: a border
    between two objects), plus `0.4 max_q sigmoid(M_q)` over the anomaly queries, minus
    `max_q sigmoid(M_q)` over the inlier queries.
    """

    kind = "posthoc"
    accepts = ("masks",)
    paper = "Ackermann et al., Maskomaly: Zero-Shot Mask Anomaly Segmentation, BMVC 2023"

    def __init__(
        self,
        anomaly_queries: Sequence[int] = (),
        inlier_queries: Sequence[int] = (),
        sure: float = 0.7,
    ) -> None:
        super().__init__()
        if not 0 <= sure <= 1:
            msg = f"maskomaly: `sure` must be in 0..1, not {sure}."
            raise OptionError(msg)
        self.anomaly_queries = tuple(anomaly_queries)
        self.inlier_queries = tuple(inlier_queries)
        self.sure = sure

    def options(self) -> dict[str, Any]:
        """Return the constructor options."""
        return {
            "anomaly_queries": list(self.anomaly_queries),
            "inlier_queries": list(self.inlier_queries),
            "sure": self.sure,
        }

    def score(self, segmentation: Segmentation, image: Tensor) -> Tensor:
        """Return the score, `(B, H, W)`.

        Raises:
            OptionError: a query that the network does not have.
        """
        masks = segmentation.need_masks()
        self._check(masks.masks.shape[1])
        score = LEFT * self._uncovered(segmentation, masks)
        if self.anomaly_queries:
            score = score + FOUND * self._largest(segmentation, masks, self.anomaly_queries)
        if self.inlier_queries:
            score = score - self._largest(segmentation, masks, self.inlier_queries)
        return score

    def _check(self, queries: int) -> None:
        for query in (*self.anomaly_queries, *self.inlier_queries):
            if not 0 <= query < queries:
                msg = f"maskomaly: there is no query {query}; this network has 0 to {queries - 1}."
                raise OptionError(msg)

    def _uncovered(self, segmentation: Segmentation, masks: Masks) -> Tensor:
        probability, likeliest = masks.classes.float().softmax(2).max(2)
        nothing = masks.classes.shape[2] - 1
        sure = (probability > self.sure) & (likeliest != nothing)
        left = torch.ones(len(sure), *segmentation.size, device=sure.device)
        covers = torch.zeros_like(left)
        for query in queries_of_any(sure):
            mask = _grown(segmentation, masks, query) * sure[:, query, None, None]
            left = left.minimum(1 - mask * probability[:, query, None, None])
            covers += mask > BORDER
        return left.masked_fill(covers > 1, 0)

    def _largest(self, segmentation: Segmentation, masks: Masks, queries: Sequence[int]) -> Tensor:
        return torch.stack([_grown(segmentation, masks, query) for query in queries]).amax(0)


def _grown(segmentation: Segmentation, masks: Masks, query: int) -> Tensor:
    return segmentation.to_image(masks.masks[:, query].float()).sigmoid()
