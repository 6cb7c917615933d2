"""Open-set segmentation: closed mIoU, and open-mIoU with anomalies as one more class.

Source: Grcić et al., 2022, DenseHybrid: Hybrid Anomaly Detection for Dense Open-set Recognition,
section 5 (open-mIoU), on StreetHazards: the threshold of each town comes from the other one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from roadanomaly.errors import DataError, OptionError
from roadanomaly.metrics.component import above

TARGET_TPR = 0.95
"""Share of the other town's anomaly pixels that lie at or above the threshold."""

_INLIER, _VOID, _NEGATIVE, _IGNORE = 252, 253, 254, 255


@dataclass(frozen=True)
class OpenSetResult:
    """Closed and open segmentation quality; fractions, NaN where undefined.

    Args:
        closed_miou: mean of `closed_iou` over the classes that were labelled or predicted; pixels
            of anomalies are left out.
        open_miou: mean of `open_iou` likewise; anomaly pixels that were missed and known pixels
            that were called anomalies lower it.
        anomaly_iou: intersection over union of the anomaly class.
        closed_iou: `(K,)`.
        open_iou: `(K,)`.
        confusion: `(K + 1, K + 1)` int64 pixels, rows labels, columns predictions after the
            threshold, anomalies last.
        closed_confusion: `(K, K)` int64 pixels, before the threshold.
        frames: images that were counted.
    """

    closed_miou: float
    open_miou: float
    anomaly_iou: float
    closed_iou: np.ndarray
    open_iou: np.ndarray
    confusion: np.ndarray
    closed_confusion: np.ndarray
    frames: int


def intersection_over_union(confusion: np.ndarray) -> np.ndarray:
    """Return `(C,)` IoU of each class of a `(C, C)` confusion, NaN where a class never occurs."""
    hit = np.diag(confusion)
    union = confusion.sum(0) + confusion.sum(1) - hit
    return np.divide(hit, union, out=np.full(hit.size, np.nan), where=union > 0)


def open_set_result(
    confusion: np.ndarray, closed_confusion: np.ndarray, frames: int
) -> OpenSetResult:
    """Summarise two confusions.

    Args:
        confusion: `(K + 1, K + 1)`, anomalies last, ignored pixels left out.
        closed_confusion: `(K, K)`.
        frames: images that they count.
    """
    iou = intersection_over_union(confusion)
    closed_iou = intersection_over_union(closed_confusion)
    return OpenSetResult(
        closed_miou=_nan_mean(closed_iou),
        open_miou=_nan_mean(iou[:-1]),
        anomaly_iou=float(iou[-1]),
        closed_iou=closed_iou,
        open_iou=iou[:-1],
        confusion=confusion,
        closed_confusion=closed_confusion,
        frames=frames,
    )


def combine_towns(towns: Sequence[OpenSetResult]) -> OpenSetResult:
    """Join towns that were judged with thresholds of their own.

    Open-mIoU, its classes and the anomaly IoU are means over the towns weighted by their images;
    closed values come from one confusion over all images, as the authors take them.

    Raises:
        DataError: no town, or towns of different classes.
    """
    if not towns or len({town.confusion.shape for town in towns}) > 1:
        msg = (
            f"{len(towns)} towns of {[len(town.open_iou) for town in towns]} classes cannot be "
            "combined; give at least one, all of the same classes."
        )
        raise DataError(msg)
    images = np.array([town.frames for town in towns], dtype=np.float64)
    weights = images / images.sum()
    joined = open_set_result(
        np.sum([town.confusion for town in towns], axis=0),
        np.sum([town.closed_confusion for town in towns], axis=0),
        int(images.sum()),
    )
    return OpenSetResult(
        closed_miou=joined.closed_miou,
        open_miou=float(weights @ [town.open_miou for town in towns]),
        anomaly_iou=float(weights @ [town.anomaly_iou for town in towns]),
        closed_iou=joined.closed_iou,
        open_iou=weights @ np.stack([town.open_iou for town in towns]),
        confusion=joined.confusion,
        closed_confusion=joined.closed_confusion,
        frames=joined.frames,
    )


def _nan_mean(values: np.ndarray) -> float:
    present = values[~np.isnan(values)]
    return float(present.mean()) if present.size else float("nan")


def halve(score: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bring a frame to half size, as the authors do before they choose the threshold.

    Args:
        score: `(H, W)` float; pairs of rows and columns are averaged, which is what bilinear
            sampling at half size does. A last odd row or column falls away.
        label: `(H, W)`; every second pixel is taken.

    Returns:
        `(H // 2, W // 2)` each, the score at least float32.
    """
    rows, columns = (length // 2 for length in score.shape)
    kind = np.result_type(score.dtype, np.float32)
    pairs = score[: 2 * rows, : 2 * columns].astype(kind).reshape(rows, 2, columns, 2)
    return pairs.mean((1, 3), dtype=kind), label[: 2 * rows : 2, : 2 * columns : 2]


def threshold_at_tpr(positives: np.ndarray, tpr: float = TARGET_TPR) -> float:
    """Return the highest score at or above which a share `>= tpr` of anomaly pixels lies.

    Args:
        positives: `(P,)` float scores of anomaly pixels.
        tpr: in (0, 1].

    Raises:
        OptionError: `tpr` is outside its range.
        DataError: no anomaly pixel.
    """
    if not 0 < tpr <= 1:
        msg = f"the true-positive rate is {tpr}; it must lie in (0, 1], and is 0.95 by convention."
        raise OptionError(msg)
    if positives.size == 0:
        msg = (
            "the threshold of open-mIoU needs anomaly pixels, and these frames have none; take "
            "the other town's frames with their anomaly labels."
        )
        raise DataError(msg)
    size = positives.size
    count = max(1, int(np.ceil(tpr * size)))
    if (count - 1) / size >= tpr:
        count -= 1
    kind = np.float32 if positives.dtype == np.float16 else positives.dtype
    return float(np.partition(positives.astype(kind), size - count)[size - count])


class OpenSet:
    """Closed and open confusion over all frames so far.

    Args:
        classes: names of the known classes, in the order of their indices.
        threshold: a pixel with a score above it is called an anomaly.

    Raises:
        OptionError: no class, or more than labels below 252 can name.
    """

    def __init__(self, classes: tuple[str, ...], threshold: float) -> None:
        self.classes, self.threshold = tuple(classes), float(threshold)
        if not 0 < len(self.classes) <= _INLIER:
            msg = f"{len(self.classes)} classes were given; between 1 and {_INLIER} can be counted."
            raise OptionError(msg)
        known = len(self.classes)
        self._open = np.zeros((known + 1, known + 1), np.int64)
        self._closed = np.zeros((known, known), np.int64)
        self._frames = 0

    def update(self, predicted: np.ndarray, score: np.ndarray, label: np.ndarray) -> None:
        """Count one image.

        Args:
            predicted: `(H, W)` integer, most likely known class `0..K-1`.
            score: `(H, W)` float, higher = more anomalous.
            label: `(H, W)` uint8: class `0..K-1`, 254 anomaly, 255 ignore.

        Raises:
            DataError: shapes differ, or an id is none of these.
        """
        known = len(self.classes)
        shapes = {predicted.shape, score.shape, label.shape}
        if len(shapes) > 1:
            msg = (
                f"prediction {predicted.shape}, score {score.shape} and label {label.shape} "
                "differ in shape; bring all three to the size of the label first."
            )
            raise DataError(msg)
        counted = ~np.isin(label, (_INLIER, _VOID, _IGNORE))
        true, called = label[counted].astype(np.int64), predicted[counted].astype(np.int64)
        _check_ids("prediction", called, known, ())
        _check_ids("label", true, known, (_NEGATIVE,))
        true[true == _NEGATIVE] = known
        shown = true < known
        self._closed += _count(true[shown], called[shown], known)
        called[above(score[counted], self.threshold)] = known
        self._open += _count(true, called, known + 1)
        self._frames += 1

    def merge(self, other: OpenSet) -> None:
        """Add what another process counted.

        Raises:
            OptionError: the other has other classes or another threshold.
        """
        if (self.classes, self.threshold) != (other.classes, other.threshold):
            msg = (
                f"a count of {len(other.classes)} classes at threshold {other.threshold} cannot "
                f"join one of {len(self.classes)} at {self.threshold}; start all processes alike."
            )
            raise OptionError(msg)
        self._open += other._open
        self._closed += other._closed
        self._frames += other._frames

    def compute(self) -> OpenSetResult:
        """Summarise all frames so far."""
        return open_set_result(self._open.copy(), self._closed.copy(), self._frames)


def _check_ids(name: str, ids: np.ndarray, known: int, also: tuple[int, ...]) -> None:
    stray = ids[((ids < 0) | (ids >= known)) & ~np.isin(ids, also)]
    if stray.size:
        extra = ", 254 anomaly or 255 ignore" if also else ""
        msg = (
            f"the {name} holds the id {int(stray[0])}; with {known} classes it must be "
            f"0..{known - 1}{extra}. Map the set's own ids to these first."
        )
        raise DataError(msg)


def _count(true: np.ndarray, called: np.ndarray, classes: int) -> np.ndarray:
    pairs = np.bincount(true * classes + called, minlength=classes * classes)
    return pairs.reshape(classes, classes)
