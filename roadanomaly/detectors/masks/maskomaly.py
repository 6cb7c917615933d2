"""Maskomaly: what the sure masks leave, and the queries that answer to anomalies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from roadanomaly.detectors.base import Detector, Pass
from roadanomaly.detectors.feature_bank import FeatureBank
from roadanomaly.detectors.masks.queries import queries_of_any
from roadanomaly.detectors.masks.query_choice import choose_queries
from roadanomaly.errors import DataError, OptionError
from roadanomaly.types import NEGATIVE, Batch, Masks, Segmentation, is_inlier

BORDER = 0.1
"""Mask value above which two masks count as overlapping."""

PER_FRAME, PIXELS = 2000, 40_000
"""Pixels of each kind that are drawn of a frame, and kept of all, to choose queries by."""

LEFT, FOUND = 0.6, 0.4
"""Weights of the two parts of the score."""


class Maskomaly(Detector):
    """Adds what sure masks leave uncovered to the masks of queries that fire on anomalies.

    Args:
        anomaly_queries: queries whose masks are added. Which they are is a property of one
            trained network: the published ones were chosen by hand on the benchmark's validation
            frames for one checkpoint. None by default; `choose` finds them.
        inlier_queries: queries whose masks are taken off, such as those of the road; none by
            default.
        sure: probability of its class above which a mask covers, in 0..1.
        choose: greatest numbers of anomaly and of inlier queries that `roadanomaly fit` is to
            choose, on frames with negatives and never on a test set; as published `[4, 2]`. The
            saved model names them, and its record the frames. None by default: the score alone.

    Raises:
        OptionError: a value out of range.

    Source: Ackermann et al., 2023, section 3: `0.6 min_q (1 - sigmoid(M_q) max_k P_qk)` over the
    sure queries that name a class, 0 where two of their masks overlap (both above 0.1: a border
    between two objects), plus `0.4 max_q sigmoid(M_q)` over the anomaly queries, minus
    `max_q sigmoid(M_q)` over the inlier queries. Differs: queries are chosen by rule, each the one
    that adds most average precision, not by eye.
    """

    accepts = ("masks",)
    paper = "Ackermann et al., Maskomaly: Zero-Shot Mask Anomaly Segmentation, BMVC 2023"

    def __init__(
        self,
        anomaly_queries: Sequence[int] = (),
        inlier_queries: Sequence[int] = (),
        sure: float = 0.7,
        choose: Sequence[int] = (0, 0),
    ) -> None:
        if len(choose) != 2 or min(choose) < 0:
            msg = f"maskomaly: `choose` are two numbers, as [4, 2], not {list(choose)}."
            raise OptionError(msg)
        super().__init__()
        if not 0 <= sure <= 1:
            msg = f"maskomaly: `sure` must be in 0..1, not {sure}."
            raise OptionError(msg)
        self.anomaly_queries = tuple(anomaly_queries)
        self.inlier_queries = tuple(inlier_queries)
        self.sure = sure
        self.choose = tuple(choose)
        if any(choose):
            self.be("fit")
            self.fit_passes = (Pass("queries"),)  # type: ignore[misc]
            self.inliers, self.strange = (FeatureBank(PIXELS, saved=False) for _ in range(2))
            self.shown = [0, 0]

    @property
    def supervision(self) -> str:  # type: ignore[override]
        """`negatives`, where queries are chosen by them."""
        return "negatives" if any(self.choose) else "none"

    def options(self) -> dict[str, Any]:
        """Return the constructor options."""
        return {
            "anomaly_queries": list(self.anomaly_queries),
            "inlier_queries": list(self.inlier_queries),
            "sure": self.sure,
            "choose": list(self.choose),
        }

    def begin(self, name: str) -> None:
        """Start with no pixels."""
        super().begin(name)
        if self.fit_passes:
            self._forget()

    def _forget(self) -> None:
        self.inliers.clear()
        self.strange.clear()
        self.shown = [0, 0]

    def update(self, segmentation: Segmentation, batch: Batch, name: str) -> None:
        """Draw inlier pixels and negatives, with all masks there."""
        if not self.fit_passes:
            super().update(segmentation, batch, name)
        masks = segmentation.need_masks()
        kinds = (is_inlier(batch.label), batch.label == NEGATIVE)
        picked = [_picked(one) for one in kinds]
        columns = [LEFT * self._uncovered(segmentation, masks)]
        columns += [_grown(segmentation, masks, query) for query in range(masks.masks.shape[1])]
        for number, bank in enumerate((self.inliers, self.strange)):
            self.shown[number] += int(kinds[number].sum())
            bank.add(torch.stack([one.flatten()[picked[number]] for one in columns], 1))

    def finish(self, name: str) -> None:
        """Choose the queries.

        Raises:
            DataError: the frames show no negatives, or nothing else.
        """
        if not self.fit_passes:
            super().finish(name)
        banks = (self.inliers, self.strange)
        if not all(len(bank) for bank in banks):
            msg = (
                "maskomaly: `choose` needs frames that show inliers and negatives: put some in "
                "with `--negatives.name paste ...`, or `shapes`."
            )
            raise DataError(msg)
        rows = torch.cat([bank.rows for bank in banks])
        strange = torch.arange(len(rows), device=rows.device) >= len(self.inliers)
        for_one = [shown / len(bank) for shown, bank in zip(self.shown, banks, strict=True)]
        weights = torch.where(strange, for_one[1], for_one[0])
        chosen = choose_queries(rows[:, 0], rows[:, 1:], strange, weights, self.choose, joined)
        self.anomaly_queries, self.inlier_queries = (tuple(one) for one in chosen)
        self._forget()
        self.ready = True

    def score(self, segmentation: Segmentation, image: Tensor) -> Tensor:
        """Return the score, `(B, H, W)`.

        Raises:
            OptionError: a query that the network does not have.
        """
        self.require()
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


def joined(base: Tensor, masks: Tensor, anomalies: Sequence[int], known: Sequence[int]) -> Tensor:
    """Return the score of pixels `(N,)`, from its first part and the masks `(N, Q)`."""
    score = base
    if anomalies:
        score = score + FOUND * masks[:, list(anomalies)].amax(1)
    return score - masks[:, list(known)].amax(1) if known else score


def _picked(mask: Tensor) -> Tensor:
    """Return numbers of some of the pixels where a mask holds, drawn without replacement."""
    places = mask.flatten().nonzero()[:, 0]
    order = torch.randperm(len(places))[: PER_FRAME * len(mask)]
    return places[order.to(places.device)]


def _grown(segmentation: Segmentation, masks: Masks, query: int) -> Tensor:
    return segmentation.to_image(masks.masks[:, query].float()).sigmoid()
