"""A pixel curve and its numbers, summed up piece by piece from the highest threshold down."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

TARGET_TPR = 0.95

_RECALLS = np.linspace(0, 1, 401)
_RATES = np.unique(np.concatenate([np.linspace(0, 1, 201), np.logspace(-7, 0, 141)]))
"""Where a thinned curve keeps its first point; 0.05 is among the rates."""


@dataclass(frozen=True)
class PixelResult:
    """Scalars are fractions, NaN where undefined; curves run from the highest threshold down.

    Args:
        ap: area under precision over recall, as a right-hand step sum.
        auroc: area under TPR over FPR, by trapezoids.
        fpr95: FPR at the first point with TPR >= 0.95, not interpolated.
        best_f1: largest F1 on the curve.
        best_f1_threshold: highest threshold that reaches it.
        positives: anomaly pixels.
        negatives: inlier pixels.
        thresholds: `(P,)` float64; a pixel with score >= threshold is called an anomaly.
        tpr: `(P,)` true-positive rate, which is recall.
        fpr: `(P,)` false-positive rate.
        precision: `(P,)`, 1 where nothing is called an anomaly.
    """

    ap: float
    auroc: float
    fpr95: float
    best_f1: float
    best_f1_threshold: float
    positives: int
    negatives: int
    thresholds: np.ndarray
    tpr: np.ndarray
    fpr: np.ndarray
    precision: np.ndarray

    @property
    def recall(self) -> np.ndarray:
        """`(P,)`, the same as `tpr`."""
        return self.tpr


class CurveSum:
    """Numbers of a curve that comes in pieces; nothing but its kept points stays in memory.

    Args:
        positives: all anomaly pixels.
        negatives: all inlier pixels.
        thin: keep only the first point at or beyond each of 401 recalls and 337 false-positive
            rates, and the last; the numbers are taken from all points.
    """

    def __init__(self, positives: int, negatives: int, *, thin: bool = False) -> None:
        self.positives, self.negatives, self.thin = positives, negatives, thin
        self._ap = self._auroc = 0.0
        self._fpr95: float | None = None
        self._best = (float("-inf"), float("nan"))
        self._last: np.ndarray | None = None
        self._kept: list[np.ndarray] = []

    def add(self, thresholds: np.ndarray, tp: np.ndarray, fp: np.ndarray) -> None:
        """Take the next points.

        Args:
            thresholds: `(P,)` descending, below those before.
            tp: `(P,)` anomaly pixels at or above each threshold.
            fp: `(P,)` inlier pixels at or above each threshold.
        """
        if not thresholds.size:
            return
        with np.errstate(invalid="ignore", divide="ignore"):
            recall = tp / np.float64(self.positives)
            fpr = fp / np.float64(self.negatives)
            precision = np.where(tp + fp > 0, tp / (tp + fp), 1.0)
            f1 = 2 * tp / (tp + fp + self.positives)
        points = np.stack([thresholds.astype(np.float64), recall, fpr, precision])
        joined = points if self._last is None else np.hstack([self._last, points])
        self._ap += float((np.diff(joined[1]) * joined[3, 1:]).sum())
        self._auroc += float(np.trapezoid(joined[1], joined[2]))
        reached = int(np.searchsorted(recall, TARGET_TPR))
        if self._fpr95 is None and reached < recall.size:
            self._fpr95 = float(fpr[reached])
        best = int(np.nanargmax(f1))
        if f1[best] > self._best[0]:
            self._best = (float(f1[best]), float(thresholds[best]))
        kept = _enters_a_bin(joined)[-thresholds.size :] if self.thin else slice(None)
        self._kept.append(points[:, kept])
        self._last = points[:, -1:]

    def result(self) -> PixelResult:
        """Return the numbers and the kept points."""
        if self._last is None:
            return undefined(self.negatives)
        kept = np.hstack(self._kept)
        if self.thin and not np.array_equal(kept[:, -1:], self._last):
            kept = np.hstack([kept, self._last])
        return PixelResult(
            ap=self._ap,
            auroc=self._auroc,
            fpr95=float("nan") if self._fpr95 is None else self._fpr95,
            best_f1=self._best[0],
            best_f1_threshold=self._best[1],
            positives=self.positives,
            negatives=self.negatives,
            thresholds=kept[0],
            tpr=kept[1],
            fpr=kept[2],
            precision=kept[3],
        )


def _enters_a_bin(points: np.ndarray) -> np.ndarray:
    """Tell which points, `(4, P)`, are the first at or beyond a recall or rate of the grids."""
    entered = np.zeros(points.shape[1], bool)
    entered[0] = True
    for values, grid in ((points[1], _RECALLS), (points[2], _RATES)):
        entered[1:] |= np.diff(np.searchsorted(grid, values, side="right")) > 0
    return entered


def thinned(curve: PixelResult) -> PixelResult:
    """Return the same numbers with fewer than 1000 points of the curve."""
    points = np.stack([curve.thresholds, curve.tpr, curve.fpr, curve.precision])
    if not points.size:
        return curve
    kept = _enters_a_bin(points)
    kept[-1] = True
    thresholds, tpr, fpr, precision = points[:, kept]
    return replace(curve, thresholds=thresholds, tpr=tpr, fpr=fpr, precision=precision)


def summarise(
    thresholds: np.ndarray, tp: np.ndarray, fp: np.ndarray, positives: int, negatives: int
) -> PixelResult:
    """Compute the numbers of a whole curve; arguments as `CurveSum` and its `add`."""
    curve = CurveSum(positives, negatives)
    curve.add(thresholds, tp, fp)
    return curve.result()


def undefined(negatives: int = 0) -> PixelResult:
    """Return the result without an anomaly pixel, all NaN."""
    nan, none = float("nan"), np.empty(0)
    return PixelResult(nan, nan, nan, nan, nan, 0, negatives, none, none, none, none)
