"""Meta-classification: segments that look like false alarms are erased."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from roadanomaly.errors import DataError, KindError, OptionError, nearest
from roadanomaly.refiners.base import Refiner
from roadanomaly.refiners.meta_classifiers import (
    BoostingClassifier,
    LogisticClassifier,
    MetaClassifier,
)
from roadanomaly.refiners.segments import Segments, columns, find_segments
from roadanomaly.reservoir import evenly
from roadanomaly.segmenters.base import Segmenter
from roadanomaly.types import NEGATIVE, Batch, Segmentation, is_inlier

ORDINARY = 10_000
"""Inlier pixels of each frame whose scores are kept for their median, at most."""

FOLDS = 5
"""Parts of the frames, one after another, each judged by what was fitted on the others."""

By = Literal["logistic", "boosting"]


class MetaClassification(Refiner):
    """Erases segments of the score that look like false alarms.

    A segment is an 8-connected region of the score above `threshold`; sizes, dispersion of the
    class probabilities, the classes in it and beside it and its place describe it, as
    `segments.find_segments` lists them. The meta-classifier is fitted on labelled frames with
    anomalies: a segment is false where it meets none. The pixels of an erased segment take the
    median score of inlier pixels, so that it is gone at every threshold.

    Fit it by `roadanomaly fit --refiners` on frames that neither detector nor test has seen.

    Args:
        threshold: of the score that enters; 0.7 is that of the paper, for the entropy as a share of
            its greatest value, which the detector `max_entropy` gives. Another detector needs one
            on its own scale.
        by: `logistic` regression, or gradient `boosting` of small trees, whose fit needs
            scikit-learn. True and false segments count alike.
        lose: share of the true segments that may be erased, 0..1. From it follows the probability
            of being false above which a segment is erased: at least a half, and so high that no
            more true ones are lost where each fifth of the frames is judged by a fit on the others.
        certainty: that probability itself, above 0 to 1, in place of `lose`.

    Raises:
        OptionError: a value out of range, or another word for `by`.

    Source: Chan, Rottmann, Gottschalk, Entropy Maximization and Meta Classification, ICCV 2021,
    section 4, with a logistic regression and a certainty of 0.5; the numbers, and boosting as an
    alternative, as in Rottmann et al., Prediction Error Meta Classification, 2020.
    Differs from the public code: fitted on a held-out set and not by leaving one out of the test
    set; both kinds count alike; the score itself is one of the heat maps.
    """

    grid = "image"
    learns = True
    supervision = "negatives"
    exports = False

    ordinary: Tensor
    chosen: Tensor

    def __init__(
        self,
        threshold: float = 0.7,
        by: By = "logistic",
        lose: float = 0.02,
        certainty: float | None = None,
    ) -> None:
        super().__init__()
        if by not in get_args(By):
            msg = f"meta_classification: `by` {by!r} is unknown; {nearest(by, get_args(By))}"
            raise OptionError(msg)
        if not 0 <= lose <= 1:
            msg = f"meta_classification: `lose` must lie in 0..1, not {lose:g}."
            raise OptionError(msg)
        if certainty is not None and not 0 < certainty <= 1:
            msg = f"meta_classification: `certainty` must lie in 0..1, not {certainty:g}."
            raise OptionError(msg)
        self.threshold, self.by = threshold, by
        self.lose, self.certainty = lose, certainty
        self._seen: list[tuple[np.ndarray, np.ndarray]] = []
        self._scores: list[Tensor] = []

    def options(self) -> dict[str, Any]:
        """Return the constructor options."""
        return {
            "threshold": self.threshold,
            "by": self.by,
            "lose": self.lose,
            "certainty": self.certainty,
        }

    def attach(self, segmenter: Segmenter) -> None:
        """Make room for what is learned."""
        self.classifier = self._new_classifier(columns(len(segmenter.classes)))
        self.register_buffer("ordinary", torch.zeros(()))
        self.register_buffer("chosen", torch.ones(()))

    def _new_classifier(self, width: int) -> MetaClassifier:
        return LogisticClassifier(width) if self.by == "logistic" else BoostingClassifier(width)

    def begin(self) -> None:
        """Start with no segments.

        Raises:
            MissingExtra: what fits the trees is not installed.
        """
        super().begin()
        self.classifier.prepare()
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
        """Fit the meta-classifier, and choose the certainty.

        Raises:
            DataError: no true or no false segment was seen.
        """
        width = self.classifier.width
        rows = np.concatenate([one for one, _ in self._seen] or [np.zeros((0, width))])
        true = np.concatenate([one for _, one in self._seen] or [np.zeros(0, bool)])
        if not _both(true):
            msg = (
                f"meta_classification: the frames show {true.sum()} true and "
                f"{(~true).sum()} false segments above {self.threshold:g}, and both are needed: "
                "fit on labelled frames with anomalies (`--negatives.name paste` puts some in), "
                "or set `threshold` on this detector's scale."
            )
            raise DataError(msg)
        self.classifier.fit(rows, true)
        certainty = self._certain(rows, true) if self.certainty is None else self.certainty
        self.chosen.fill_(certainty)
        self.ordinary = torch.cat(self._scores).median().to(self.chosen.device)
        self.begin()
        self.ready = True

    def _certain(self, rows: np.ndarray, true: np.ndarray) -> float:
        """Return the probability of being false above which at most `lose` of the true ones lie.

        Raises:
            DataError: a fifth of the frames holds all true or all false segments.
        """
        count = len(self._seen)
        frame = np.repeat(np.arange(count), [len(one) for one, _ in self._seen])
        part = frame * FOLDS // count
        falsity = np.empty(len(rows))
        for number in np.unique(part):
            left = part == number
            if not _both(true[~left]):
                msg = (
                    "meta_classification: too few frames show true and false segments to choose "
                    f"a certainty by `lose`: {count} frames, {true.sum()} true and "
                    f"{(~true).sum()} false segments. Fit on more, or name a `certainty`."
                )
                raise DataError(msg)
            classifier = self._new_classifier(self.classifier.width)
            classifier.fit(rows[~left], true[~left])
            falsity[left] = classifier.falsity(rows[left])
        return max(0.5, float(np.quantile(falsity[true], 1 - self.lose, method="higher")))

    def forward(self, score: Tensor, segmentation: Segmentation, image: Tensor) -> Tensor:
        """Erase, `(B, H, W)`."""
        del image
        erased = [self._erased(one) for one in self.segments(score, segmentation)]
        gone = torch.stack(erased).to(score.device)
        return torch.where(gone, torch.minimum(score, self.ordinary.to(score.dtype)), score)

    def _erased(self, found: Segments) -> Tensor:
        """Return where a segment is erased, `(H, W)` bool."""
        gone = np.concatenate([[False], self.falsity(found) > self.chosen.item()])
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
        return self.classifier.falsity(found.rows)


def _both(true: np.ndarray) -> bool:
    return bool(true.any() and not true.all())


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
