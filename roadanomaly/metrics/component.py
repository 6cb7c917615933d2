"""Component metrics: how well whole objects are found; sIoU, PPV and mean F1.

Source: Chan et al., 2021, SegmentMeIfYouCan: A Benchmark for Anomaly Segmentation, section 3
(sIoU after Rottmann et al., 2020). Sizes and rules are those of the benchmark's `SegEval`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from roadanomaly.errors import OptionError
from roadanomaly.metrics.checks import MODES, check_frame, check_name
from roadanomaly.metrics.keyed import ByFrame, FrameId

Keeps = Callable[[np.ndarray], np.ndarray]
"""Sizes of components in pixels to a bool of each: whether it counts."""

TAUS = np.linspace(0.25, 0.75, 11)
"""Overlaps from which an object counts as found."""


@dataclass(frozen=True)
class SizeRule:
    """Components of fewer pixels are left out, at image resolution.

    Args:
        predicted: a smaller predicted component is dropped.
        truth: a smaller true component becomes ignored pixels.
    """

    predicted: int
    truth: int


SIZE_RULES = {"anomaly": SizeRule(500, 100), "obstacle": SizeRule(50, 10)}
"""Track to its sizes; `anomaly` also serves Fishyscapes, `obstacle` LostAndFound."""


@dataclass(frozen=True)
class FrameObjects:
    """Objects of one frame.

    Args:
        siou: `(G,)` of each true component, 0..1.
        truth_size: `(G,)` its pixels.
        ppv: `(Q,)` share of each predicted component that lies on true ones.
        predicted_size: `(Q,)` its pixels that count.
    """

    siou: np.ndarray
    truth_size: np.ndarray
    ppv: np.ndarray
    predicted_size: np.ndarray


@dataclass(frozen=True)
class ComponentResult:
    """Component metrics of a data set; fractions, NaN where there is nothing to average.

    Args:
        siou: mean over all true components of all frames.
        ppv: mean over all predicted components of all frames.
        f1: mean of `f1_at` over the overlaps.
        taus: `(11,)` overlaps from 0.25 to 0.75.
        tp: `(11,)` true components with sIoU >= tau.
        fn: `(11,)` true components with sIoU < tau.
        fp: `(11,)` predicted components with PPV < tau.
        f1_at: `(11,)` 2 tp / (2 tp + fn + fp).
        objects: the components of all frames together.
    """

    siou: float
    ppv: float
    f1: float
    taus: np.ndarray
    tp: np.ndarray
    fn: np.ndarray
    fp: np.ndarray
    f1_at: np.ndarray
    objects: FrameObjects


def frame_objects(predicted: np.ndarray, label: np.ndarray, rule: SizeRule) -> FrameObjects:
    """Match predicted and true components of one frame.

    As in the benchmark, ignored pixels cut predictions before these are labelled, with 8
    neighbours; small predictions are dropped first, small true components ignored next, and what
    then lies on ignored pixels is cut off without another look at sizes. The pixels outside all
    true components count as a component here: fewer than `rule.truth` of them are ignored too.

    Args:
        predicted: `(H, W)` bool.
        label: `(H, W)` uint8 of 0, 1, 255.
        rule: smallest sizes.
    """
    return match_objects(
        predicted,
        label,
        lambda sizes: sizes >= rule.predicted,
        lambda sizes: sizes >= rule.truth,
    )


def match_objects(
    predicted: np.ndarray, label: np.ndarray, predicted_counts: Keeps, truth_counts: Keeps
) -> FrameObjects:
    """Match by the steps of `frame_objects`, with any rule of the sizes that count.

    Args:
        predicted: `(H, W)` bool.
        label: `(H, W)` uint8 of 0, 1, 255.
        predicted_counts: of the sizes `(Q + 1,)` of the predicted components; the first is the
            rest of the image.
        truth_counts: of those `(G + 1,)` of the true components, likewise.
    """
    predicted = predicted & (label != 255)
    truth_map, truth_size = label_components(label == 1)
    predicted_map, predicted_size = label_components(predicted)
    truth_kept = truth_counts(truth_size)
    at_truth, at_predicted = truth_map[predicted], predicted_map[predicted]
    counted = predicted_counts(predicted_size)[at_predicted] & truth_kept[at_truth]
    at_predicted, at_truth = at_predicted[counted], at_truth[counted]
    predicted_size = np.bincount(at_predicted, minlength=predicted_size.size)
    siou, hit = overlaps(at_truth, at_predicted, truth_size, predicted_size)
    truth_kept[0] = False
    left = predicted_size > 0
    return FrameObjects(
        siou=siou[truth_kept],
        truth_size=truth_size[truth_kept],
        ppv=hit[left] / predicted_size[left],
        predicted_size=predicted_size[left],
    )


def label_components(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number 8-connected components from 1, and count the pixels of each, 0 being the rest."""
    import cv2  # here, so that pixels are measured where OpenCV is missing

    count, numbers = cv2.connectedComponents(mask.view(np.uint8), connectivity=8, ltype=cv2.CV_32S)
    sizes = np.bincount(numbers[mask], minlength=count)
    sizes[0] = mask.size - sizes.sum()
    return numbers, sizes


def overlaps(
    at_truth: np.ndarray,
    at_predicted: np.ndarray,
    truth_size: np.ndarray,
    predicted_size: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Compute sIoU of each true component, and the pixels of each predicted one on true ones.

    `sIoU(k) = |k & K| / (|k | K| - |K & other true components|)`, where K is the union of the
    predicted components that touch k.

    Args:
        at_truth: `(N,)` true component at each predicted pixel, 0 for none.
        at_predicted: `(N,)` predicted component there.
        truth_size: `(G + 1,)` pixels of each true component.
        predicted_size: `(Q + 1,)` pixels of each predicted component.
    """
    both = at_truth > 0
    truth, predicted, shared = _pairs(at_truth[both], at_predicted[both], predicted_size.size)
    hit = np.bincount(predicted, shared, predicted_size.size)
    covered = np.bincount(truth, shared, truth_size.size)
    touching = np.bincount(truth, predicted_size[predicted], truth_size.size)
    on_others = np.bincount(truth, hit[predicted] - shared, truth_size.size)
    union = truth_size + touching - covered - on_others
    siou = np.divide(covered, union, out=np.zeros(union.size), where=union > 0)
    return siou, hit


def _pairs(
    truth: np.ndarray, predicted: np.ndarray, columns: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Contingency table of the components that meet: true, predicted, shared pixels."""
    cell = truth.astype(np.int64) * columns + predicted
    if cell.size and cell.max() < 8 * cell.size + (1 << 16):
        table = np.bincount(cell)
        cells = np.flatnonzero(table)
        shared = table[cells]
    else:
        cells, shared = np.unique(cell, return_counts=True)
    return cells // columns, cells % columns, shared


def summarise_objects(objects: FrameObjects) -> ComponentResult:
    """Count the found, missed and false components at each overlap."""
    tp = (objects.siou >= TAUS[:, None]).sum(1)
    fn = objects.siou.size - tp
    fp = (objects.ppv < TAUS[:, None]).sum(1)
    with np.errstate(invalid="ignore"):
        f1_at = 2 * tp / (2 * tp + fn + fp)
    return ComponentResult(
        siou=_mean(objects.siou),
        ppv=_mean(objects.ppv),
        f1=_mean(f1_at),
        taus=TAUS.copy(),
        tp=tp,
        fn=fn,
        fp=fp,
        f1_at=f1_at,
        objects=objects,
    )


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else float("nan")


class Components:
    """Component metrics, frame by frame; keeps a few numbers for each object.

    Args:
        track: `"anomaly"` or `"obstacle"`, for the size rules.
        threshold: what makes the masks; the benchmark takes `best_f1_threshold` of the pixel
            curve of the whole data set. NaN predicts nothing.
        mode: `"official"` calls a pixel an anomaly if its score is > the threshold, rounded to
            the type of the scores as the benchmark's numpy does; `"exact"` if it is >=.

    Raises:
        UnknownName: another track or mode.
    """

    def __init__(self, track: str, threshold: float, mode: str = "official") -> None:
        check_name("track", track, SIZE_RULES)
        check_name("mode", mode, MODES)
        self.track, self.threshold, self.mode = track, float(threshold), mode
        self._objects: ByFrame[FrameObjects] = ByFrame()

    def update(self, frame_id: FrameId, score: np.ndarray, label: np.ndarray) -> None:
        """Match the objects of one frame.

        Args:
            frame_id: unique name.
            score: `(H, W)` float16, float32 or float64.
            label: `(H, W)` uint8 of 0 inlier, 1 anomaly, 255 ignore.

        Raises:
            DataError: the frame cannot be scored, or was counted before.
        """
        score, label = check_frame(frame_id, score, label)
        predicted = anomalous(score, self.threshold, self.mode)
        self._objects.add(frame_id, frame_objects(predicted, label, SIZE_RULES[self.track]))

    def merge(self, other: Components) -> None:
        """Take over the frames that another process matched.

        Raises:
            OptionError: the other has another track, threshold or mode.
        """
        mine = (self.track, self.mode, np.float64(self.threshold).tobytes())
        if mine != (other.track, other.mode, np.float64(other.threshold).tobytes()):
            msg = (
                f"components of track {other.track}, mode {other.mode}, threshold "
                f"{other.threshold} cannot join those of track {self.track}, mode {self.mode}, "
                f"threshold {self.threshold}; start all processes with the same three."
            )
            raise OptionError(msg)
        self._objects.merge(other._objects)

    def compute(self) -> ComponentResult:
        """Summarise all frames so far; NaN where there is no component."""
        return pool_objects(self._objects.in_order())


def pool_objects(frames: Sequence[FrameObjects]) -> ComponentResult:
    """Summarise the components of all frames together; NaN where there is none."""
    return summarise_objects(
        FrameObjects(
            siou=_join([frame.siou for frame in frames]),
            truth_size=_join([frame.truth_size for frame in frames]),
            ppv=_join([frame.ppv for frame in frames]),
            predicted_size=_join([frame.predicted_size for frame in frames]),
        )
    )


def _join(parts: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(parts) if parts else np.empty(0)


def above(score: np.ndarray, threshold: float) -> np.ndarray:
    """Tell which scores lie above a threshold that was found among float32 ones, as `predict` does.

    Args:
        score: float16, float32 or float64, any shape. Halves are compared as the float32 numbers
            that they are; numpy would round the threshold to half precision.
        threshold: NaN predicts nothing.

    Returns:
        bool, the same shape.
    """
    with np.errstate(over="ignore"):
        return score > np.promote_types(score.dtype, np.float32).type(threshold)


def anomalous(score: np.ndarray, threshold: float, mode: str) -> np.ndarray:
    """Tell which pixels a threshold calls anomalies.

    Args:
        score: `(H, W)` float.
        threshold: in double precision; NaN predicts nothing.
        mode: `official` is `>` the threshold rounded to the type of the scores, `exact` is `>=`.

    Returns:
        `(H, W)` bool.
    """
    kind = score.dtype.type
    with np.errstate(over="ignore"):
        limit = kind(threshold)
    if mode == "exact" and float(limit) >= threshold:
        return ~_exceeds(-score, -limit)
    if mode == "official" and np.isposinf(limit) and np.isfinite(threshold):
        limit = np.finfo(kind).max
    return _exceeds(score, limit)


def _exceeds(score: np.ndarray, limit: np.floating) -> np.ndarray:
    """`score > limit`, for halves by their bit patterns: numpy compares halves one by one."""
    if score.dtype != np.float16 or np.isnan(limit):
        return score > limit
    bits = (limit + np.float16(0)).view(np.uint16)
    if bits < 1 << 15:
        return score.view(np.int16) > bits.astype(np.int16)
    return score.view(np.uint16) < bits
