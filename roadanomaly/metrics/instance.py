"""Instance metrics: average precision of separate objects with confidences, AP and AP50.

Source: the instance metric of Cityscapes (Cordts et al., 2016, section 4.2) with one class, as
OoDIS scores with it: objects of fewer than 10 pixels are ignored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from roadanomaly.errors import DataError, OptionError
from roadanomaly.metrics.keyed import ByFrame, FrameId

OVERLAPS = np.arange(0.5, 1.0, 0.05)
"""A prediction matches an object where their IoU is larger than this."""

SMALLEST_TRUTH = 10
"""True objects of fewer pixels are ignored."""

_FIRST_INSTANCE = 1000


@dataclass(frozen=True)
class PredictedInstance:
    """One predicted object.

    Args:
        mask: `(H, W)` bool.
        confidence: finite, higher = surer.
    """

    mask: np.ndarray
    confidence: float


@dataclass(frozen=True)
class FrameInstances:
    """Pixels that the objects of one frame share.

    Args:
        truth_size: `(G,)` int64 pixels of each true object.
        predicted_size: `(Q,)` int64 pixels of each predicted object, all > 0.
        confidence: `(Q,)` float64.
        shared: `(Q, G)` int64 pixels.
        on_void: `(Q,)` int64 pixels of each prediction on void.
    """

    truth_size: np.ndarray
    predicted_size: np.ndarray
    confidence: np.ndarray
    shared: np.ndarray
    on_void: np.ndarray


@dataclass(frozen=True)
class InstanceResult:
    """Instance metrics of a data set; fractions, NaN without a true object.

    Args:
        ap: mean of `ap_at`.
        ap50: AP at an overlap of 0.5.
        overlaps: `(10,)` from 0.50 to 0.95.
        ap_at: `(10,)`.
        truths: true objects that count.
        predictions: predicted objects that are not empty.
    """

    ap: float
    ap50: float
    overlaps: np.ndarray
    ap_at: np.ndarray
    truths: int
    predictions: int


def frame_instances(
    predicted: Sequence[PredictedInstance], instances: np.ndarray, void: np.ndarray | None = None
) -> FrameInstances:
    """Count what the predicted and true objects of one frame share; empty masks are left out.

    Args:
        predicted: may overlap each other.
        instances: `(H, W)` integer; each id >= 1000 is an object, all else is none.
        void: `(H, W)` bool, pixels on which a false positive is forgiven; groups belong here.

    Raises:
        DataError: a mask of another shape or type, or a confidence that is no number.
    """
    void = np.zeros(instances.shape, bool) if void is None else void
    _check_arrays(instances, void)
    ids, numbers = np.unique(instances, return_inverse=True)
    real = ids >= _FIRST_INSTANCE
    numbers = numbers.reshape(instances.shape)
    rows, sizes, on_void, confidence = [], [], [], []
    for index, one in enumerate(predicted):
        _check_prediction(index, one, instances.shape)
        size = int(one.mask.sum())
        if size == 0:
            continue
        rows.append(np.bincount(numbers[one.mask], minlength=ids.size)[real])
        sizes.append(size)
        on_void.append(int(void[one.mask].sum()))
        confidence.append(float(one.confidence))
    truth_size = np.bincount(numbers.ravel(), minlength=ids.size)[real]
    shared = np.array(rows, np.int64).reshape(len(rows), truth_size.size)
    return FrameInstances(
        truth_size=truth_size,
        predicted_size=np.array(sizes, np.int64),
        confidence=np.array(confidence, np.float64),
        shared=shared,
        on_void=np.array(on_void, np.int64),
    )


def oodis_instances(
    predicted: Sequence[PredictedInstance], instances: np.ndarray
) -> FrameInstances:
    """Count as `frame_instances` does, with the void of OoDIS: id 0 of the instance map."""
    return frame_instances(predicted, instances, instances == 0)


def _check_arrays(instances: np.ndarray, void: np.ndarray) -> None:
    if instances.ndim != 2 or instances.dtype.kind not in "iu":
        msg = (
            f"the instance map has shape {instances.shape} and type {instances.dtype}; it must be "
            "(H, W) integers. Read the `instanceIds` file without converting it to 8 bits."
        )
        raise DataError(msg)
    if void.shape != instances.shape or void.dtype != bool:
        msg = (
            f"the void mask is {void.dtype} of shape {void.shape}; it must be bool of the "
            f"instance map's shape {instances.shape}."
        )
        raise DataError(msg)


def _check_prediction(index: int, one: PredictedInstance, shape: tuple[int, ...]) -> None:
    if one.mask.shape != shape or one.mask.dtype != bool:
        msg = (
            f"predicted object {index} is {one.mask.dtype} of shape {one.mask.shape}; it must be "
            f"bool of the image's shape {shape}. Non-zero pixels of its PNG are the object."
        )
        raise DataError(msg)
    if not np.isfinite(one.confidence):
        msg = (
            f"predicted object {index} has confidence {one.confidence}; it must be a finite "
            "number, higher where the detector is surer."
        )
        raise DataError(msg)


def match_instances(
    frame: FrameInstances, overlap: float, smallest: int = SMALLEST_TRUTH
) -> tuple[np.ndarray, np.ndarray, int]:
    """Sort a frame's predictions into true and false positives at one overlap.

    Of several predictions on one object the surest is the true positive. A prediction that
    overlaps an ignored object so far, or lies on void and ignored objects by a share larger than
    `overlap`, counts for nothing.

    Returns:
        confidences of true positives, of false positives, and how many objects were missed.
    """
    counted = frame.truth_size >= smallest
    union = frame.predicted_size[:, None] + frame.truth_size[None] - frame.shared
    close = frame.shared / union > overlap
    hits = [frame.confidence[close[:, g]] for g in np.flatnonzero(counted)]
    found = [confidence for confidence in hits if confidence.size]
    true = np.array([confidence.max() for confidence in found])
    doubled = [np.sort(confidence)[:-1] for confidence in found]
    ignored = frame.on_void + frame.shared[:, ~counted].sum(1)
    free = ~close.any(1) & (ignored / frame.predicted_size <= overlap)
    false = np.concatenate([*doubled, frame.confidence[free]])
    return true, false, len(hits) - len(found)


def average_precision(true: np.ndarray, false: np.ndarray, missed: int) -> float:
    """Integrate precision over recall, each distinct confidence a point.

    A point's width is half the recall between its two neighbours; the curve is closed by a point
    of precision 1 at recall 0.

    Args:
        true: `(T,)` confidences of true positives.
        false: `(F,)` confidences of false positives.
        missed: objects without a match.
    """
    if true.size == 0:
        return 0.0
    thresholds = np.unique(np.concatenate([true, false]))
    tp = true.size - np.searchsorted(np.sort(true), thresholds)
    fp = false.size - np.searchsorted(np.sort(false), thresholds)
    precision = np.append(tp / (tp + fp), 1.0)
    recall = np.append(tp / (true.size + missed), 0.0)
    before = np.insert(recall[:-1], 0, recall[0])
    after = np.append(recall[1:], 0.0)
    return float(precision @ ((before - after) / 2))


class Instances:
    """Instance metrics, frame by frame; keeps a few numbers for each pair of objects.

    Args:
        smallest: true objects of fewer pixels are ignored.

    Raises:
        OptionError: `smallest` is negative.
    """

    def __init__(self, smallest: int = SMALLEST_TRUTH) -> None:
        if smallest < 0:
            msg = f"the smallest object has {smallest} pixels; it must be 0 or more (OoDIS: 10)."
            raise OptionError(msg)
        self.smallest = smallest
        self._frames: ByFrame[FrameInstances] = ByFrame()

    def update(
        self,
        frame_id: FrameId,
        predicted: Sequence[PredictedInstance],
        instances: np.ndarray,
        void: np.ndarray | None = None,
    ) -> None:
        """Count one frame; arguments and errors as `frame_instances`.

        Raises:
            DataError: the frame cannot be scored, or was counted before.
        """
        self.add(frame_id, frame_instances(predicted, instances, void))

    def add(self, frame_id: FrameId, counted: FrameInstances) -> None:
        """Count one frame whose objects are matched already.

        Raises:
            DataError: the frame was counted before.
        """
        self._frames.add(frame_id, counted)

    def merge(self, other: Instances) -> None:
        """Take over the frames of another process.

        Raises:
            OptionError: the other ignores objects of another size.
        """
        if self.smallest != other.smallest:
            msg = (
                f"objects from {other.smallest} pixels cannot join those from {self.smallest}; "
                "start all processes with the same size."
            )
            raise OptionError(msg)
        self._frames.merge(other._frames)

    def compute(self) -> InstanceResult:
        """Summarise all frames so far."""
        frames = self._frames.in_order()
        truths = sum(int((frame.truth_size >= self.smallest).sum()) for frame in frames)
        ap_at = np.full(OVERLAPS.size, np.nan)
        if truths:
            ap_at = np.array([self._ap(frames, overlap) for overlap in OVERLAPS])
        return InstanceResult(
            ap=float(ap_at.mean()),
            ap50=float(ap_at[0]),
            overlaps=OVERLAPS.copy(),
            ap_at=ap_at,
            truths=truths,
            predictions=sum(frame.predicted_size.size for frame in frames),
        )

    def _ap(self, frames: list[FrameInstances], overlap: float) -> float:
        true, false, missed = zip(
            *(match_instances(frame, overlap, self.smallest) for frame in frames), strict=True
        )
        return average_precision(np.concatenate(true), np.concatenate(false), sum(missed))
