"""Pixel metrics the benchmark's way: average precision, AUROC, FPR at 95% TPR, best F1.

"Official" is what SegmentMeIfYouCan's `PixBinaryClass` computes (Chan et al., 2021,
SegmentMeIfYouCan: A Benchmark for Anomaly Segmentation; code of August 2023): each frame is
binned on quantiles of its own scores, and the bins of all frames are pooled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from roadanomaly.metrics.checks import check_frame
from roadanomaly.metrics.curve import PixelResult, summarise, undefined
from roadanomaly.metrics.keyed import ByFrame, FrameId
from roadanomaly.metrics.order import Order, order

_QUANTILES = 384
_MARGIN = 0.01


@dataclass(frozen=True)
class FrameCurve:
    """One frame's bins, from the highest score down.

    Args:
        thresholds: `(B,)` float64, lower edges of the bins, B <= 769.
        tp: `(B,)` int64, anomaly pixels in each bin.
        fp: `(B,)` int64, inlier pixels in each bin.
    """

    thresholds: np.ndarray
    tp: np.ndarray
    fp: np.ndarray


def frame_curve(score: np.ndarray, label: np.ndarray) -> FrameCurve:
    """Bin one frame on quantiles of its own scores, as the benchmark does.

    Edges are 384 quantiles of the anomaly scores, 384 of the inlier scores (fewer where a class
    has fewer pixels) and both extremes widened by a hundredth of the range, at least 0.01.

    Args:
        score: `(H, W)` float16, float32 or float64. The range and the steps between neighbours
            are taken in this type, so float16 may overflow there; infinite scores land in a
            bin of their own.
        label: `(H, W)` uint8 of 0, 1, 255.

    Returns:
        The bins; none for a frame without a counted pixel.
    """
    classes = [order(score[label == 1]), order(score[label == 0])]
    present = [values for values in classes if values.size]
    if not present:
        return FrameCurve(np.empty(0), np.empty(0, np.int64), np.empty(0, np.int64))
    with np.errstate(invalid="ignore", over="ignore"):
        low = min(values.ends()[0] for values in present)
        high = max(values.ends()[1] for values in present)
        margin = max(_MARGIN * float(high - low), _MARGIN)
        ends = np.array([float(low) - margin, float(high) + margin])
        edges = np.unique(np.concatenate([ends, *map(_quantiles, present)]))
    if edges.size < 2:
        edges = np.array([float(low), np.inf])
    tp, fp = (_histogram(values, edges) for values in classes)
    return FrameCurve(edges[-2::-1], tp[::-1], fp[::-1])


def _quantiles(values: Order) -> np.ndarray:
    """Linear quantiles at equal steps from 0 to 1, rounded as `numpy.quantile` rounds them."""
    last = values.size - 1
    position = last * np.linspace(0, 1, min(_QUANTILES, values.size))
    rank = np.floor(position).astype(np.int64)
    weight = position - rank
    lower, upper = values.at(np.stack([rank, np.minimum(rank + 1, last)]).ravel()).reshape(2, -1)
    step = upper - lower
    return np.where(weight < 0.5, lower + step * weight, upper - step * (1 - weight))


def _histogram(values: Order, edges: np.ndarray) -> np.ndarray:
    """Count the values between `edges`; the first lies below all of them, the last above."""
    below = np.empty(edges.size, np.int64)
    below[0], below[-1] = 0, values.size
    if edges.size > 2:
        below[1:-1] = values.below(edges[1:-1])
    return np.diff(below)


def pool_curves(curves: Sequence[FrameCurve]) -> PixelResult:
    """Pool the bins of all frames and summarise them, as the benchmark does.

    Equal thresholds are collapsed into their last point, except that the very first point always
    stays. So where frames share their top threshold the result depends on their order (the
    benchmark's own depends on it, and on an unstable sort; here the sort is stable). Without an
    anomaly pixel AP and AUROC are NaN, FPR95 and best F1 are 0, as the benchmark has it.
    """
    positives = sum(int(curve.tp.sum()) for curve in curves)
    negatives = sum(int(curve.fp.sum()) for curve in curves)
    if positives + negatives == 0:
        return undefined()
    thresholds = np.concatenate([curve.thresholds for curve in curves])
    highest_first = np.argsort(thresholds, kind="stable")[::-1]
    thresholds = thresholds[highest_first]
    tp = np.concatenate([curve.tp for curve in curves])[highest_first].cumsum()
    fp = np.concatenate([curve.fp for curve in curves])[highest_first].cumsum()
    return summarise(*collapsed(thresholds, tp, fp), positives, negatives)


def collapsed(
    thresholds: np.ndarray, tp: np.ndarray, fp: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Collapse equal thresholds, as `pool_curves` says, and begin where nothing is called.

    Args:
        thresholds: `(P,)` falling, at least one.
        tp: `(P,)` anomaly pixels from each threshold up.
        fp: `(P,)` inlier pixels from each threshold up.
    """
    kept = np.append(thresholds[1:] != thresholds[:-1], True)
    kept[0] = True
    thresholds, tp, fp = thresholds[kept], tp[kept], fp[kept]
    if tp[0] + fp[0]:
        thresholds = np.insert(thresholds, 0, thresholds[0] + 1)
        tp, fp = np.insert(tp, 0, 0), np.insert(fp, 0, 0)
    return thresholds, tp, fp


class PixelOfficial:
    """The benchmark's pixel metric, frame by frame; its memory does not depend on frame size.

    Frames are pooled in the order of their ids. A frame without a counted pixel, on which the
    benchmark's own tool stops with an error, adds nothing.
    """

    def __init__(self) -> None:
        self._curves: ByFrame[FrameCurve] = ByFrame()

    def update(self, frame_id: FrameId, score: np.ndarray, label: np.ndarray) -> None:
        """Count one frame.

        Args:
            frame_id: unique name.
            score: `(H, W)` float, used in the type that it has; the benchmark stores float16.
            label: `(H, W)` uint8 of 0 inlier, 1 anomaly, 255 ignore.

        Raises:
            DataError: the frame cannot be scored, or was counted before.
        """
        self._curves.add(frame_id, frame_curve(*check_frame(frame_id, score, label)))

    def merge(self, other: PixelOfficial) -> None:
        """Take over the frames that another process counted."""
        self._curves.merge(other._curves)

    def compute(self) -> PixelResult:
        """Summarise all frames so far; NaN before the first counted pixel."""
        return pool_curves(self._curves.in_order())
