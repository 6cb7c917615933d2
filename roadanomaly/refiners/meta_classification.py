"""Meta-classification: segments that look like false alarms are erased."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from roadanomaly.errors import DataError, KindError, OptionError
from roadanomaly.logistic import regress
from roadanomaly.refiners.base import Refiner
from roadanomaly.refiners.segments import Segments, columns, find_segments
from roadanomaly.reservoir import evenly
from roadanomaly.segmenters.base import Segmenter
from roadanomaly.types import NEGATIVE, Batch, Segmentation, is_inlier

ORDINARY = 10_000
"""Inlier pixels of each frame whose scores are kept for their median, at most."""


class MetaClassification(Refiner):
    """Erases segments of the score that a logistic regression calls false alarms.

    A segment is an 8-connected region of the score above `threshold`; sizes, dispersion of the
    class probabilities, the classes in it and beside it and its place describe it, as
    `segments.find_segments` lists them. The regression is fitted on labelled frames with anomalies:
    a segment is false where it meets none. The pixels of an erased segment take the median score of
    inlier pixels, so that it is gone at every threshold.

    Fit it by `roadanomaly fit --refiners` on frames that neither detector nor test has seen.

    Args:
        threshold: of the score that enters; 0.7 is that of the paper, for the entropy as a share of
            its greatest value, which the detector `max_entropy` gives. Another detector needs one
            on its own scale.
        certainty: probability of being false above which a segment is erased, 0..1; false and true
            segments count alike in the fit.

    Raises:
        OptionError: a certainty beyond 0..1.

    Source: Chan, Rottmann, Gottschalk, Entropy Maximization and Meta Classification, ICCV 2021,
    section 4; the numbers as in Rottmann et al., Prediction Error Meta Classification, 2020.
    Differs from the public code: fitted on a held-out set and not by leaving one out of the test
    set; both kinds count alike; the score itself is one of the heat maps.
    """

    grid = "image"
    learns = True
    supervision = "negatives"
    exports = False

    mean: Tensor
    deviation: Tensor
    weight: Tensor
    bias: Tensor
    ordinary: Tensor

    def __init__(self, threshold: float = 0.7, certainty: float = 0.5) -> None:
        super().__init__()
        if not 0 < certainty <= 1:
            msg = f"meta_classification: `certainty` must lie in 0..1, not {certainty:g}."
            raise OptionError(msg)
        self.threshold = threshold
        self.certainty = certainty
        self._seen: list[tuple[np.ndarray, np.ndarray]] = []
        self._scores: list[Tensor] = []

    def options(self) -> dict[str, Any]:
        """Return the constructor options."""
        return {"threshold": self.threshold, "certainty": self.certainty}

    def attach(self, segmenter: Segmenter) -> None:
        """Make room for the regression's numbers."""
        width = columns(len(segmenter.classes))
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("deviation", torch.ones(width))
        self.register_buffer("weight", torch.zeros(width))
        self.register_buffer("bias", torch.zeros(()))
        self.register_buffer("ordinary", torch.zeros(()))

    def begin(self) -> None:
        """Start with no segments."""
        super().begin()
        self._seen.clear()
        self._scores.clear()

    def update(self, score: Tensor, segmentation: Segmentation, batch: Batch) -> None:
        """Collect the segments of labelled frames, and what inlier pixels score."""
        for found, label in zip(self.segments(score, segmentation), batch.label, strict=True):
            marks = label.cpu().numpy()
            counted, true = judged(found, marks)
            self._seen.append((found.rows[counted], true[counted]))
        inlier = score[is_inlier(batch.label)]
        self._scores.append(evenly(inlier, ORDINARY * len(score)).cpu())

    def finish(self) -> None:
        """Fit the regression.

        Raises:
            DataError: no true or no false segment was seen.
        """
        rows = np.concatenate([one for one, _ in self._seen] or [np.zeros((0, len(self.mean)))])
        true = np.concatenate([one for _, one in self._seen] or [np.zeros(0, bool)])
        if not true.any() or true.all():
            msg = (
                f"meta_classification: the frames show {true.sum()} true and "
                f"{(~true).sum()} false segments above {self.threshold:g}, and both are needed: "
                "fit on labelled frames with anomalies (`--negatives.name paste` puts some in), "
                "or set `threshold` on this detector's scale."
            )
            raise DataError(msg)
        device = self.mean.device
        self.mean = torch.from_numpy(rows.mean(0)).float().to(device)
        spread = torch.from_numpy(rows.std(0)).float().to(device)
        self.deviation = torch.where(spread > 0, spread, torch.ones_like(spread))
        x = self._standard(rows)
        mask = torch.from_numpy(true).to(device)
        self.weight, self.bias = regress(x[~mask], x[mask], 0.5 / len(x))
        self.ordinary = torch.cat(self._scores).median().to(device)
        self.begin()
        self.ready = True

    def forward(self, score: Tensor, segmentation: Segmentation, image: Tensor) -> Tensor:
        """Erase, `(B, H, W)`."""
        del image
        erased = [self._erased(one) for one in self.segments(score, segmentation)]
        gone = torch.stack(erased).to(score.device)
        return torch.where(gone, torch.minimum(score, self.ordinary.to(score.dtype)), score)

    def _erased(self, found: Segments) -> Tensor:
        """Return where a segment is erased, `(H, W)` bool."""
        gone = np.concatenate([[False], self.falsity(found) > self.certainty])
        return torch.from_numpy(gone[found.labels])

    def segments(self, score: Tensor, segmentation: Segmentation) -> list[Segments]:
        """Return the segments of each image.

        Args:
            score: `(B, H, W)`, that which enters.
            segmentation: of the same images.

        Raises:
            KindError: the detector has not asked the segmenter.
        """
        logits = segmentation.class_logits(segmentation.image_logits())
        if not logits.shape[1]:
            msg = (
                "meta_classification reads class probabilities, and this detector does not ask "
                "the segmenter: leave the refiner out."
            )
            raise KindError(msg)
        chances = logits.softmax(1).cpu().numpy()
        scores = score.float().cpu().numpy()
        pairs = zip(scores, chances, strict=True)
        return [find_segments(one, chance, self.threshold) for one, chance in pairs]

    def falsity(self, found: Segments) -> np.ndarray:
        """Return the probability that each segment is a false alarm, `(N,)`."""
        with torch.no_grad():
            logit = self._standard(found.rows) @ self.weight + self.bias
            return torch.sigmoid(-logit).cpu().numpy()

    def _standard(self, rows: np.ndarray) -> Tensor:
        entering = torch.from_numpy(rows).float().to(self.mean.device)
        return (entering - self.mean) / self.deviation


def judged(found: Segments, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Say which segments lie on labelled pixels, and which meet an anomaly, `(N,)` bool each.

    Args:
        found: of one image.
        label: its `(H, W)` labels; a segment on no inlier and no `NEGATIVE` pixel is not judged.
    """
    count = len(found.rows) + 1
    met = np.bincount(found.labels.ravel(), (label == NEGATIVE).ravel(), count)[1:] > 0
    ordinary = np.bincount(found.labels.ravel(), is_inlier(label).ravel(), count)[1:] > 0
    return met | ordinary, met
