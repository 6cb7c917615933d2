"""How well the known classes are told apart: a streaming confusion matrix, IoU and mIoU."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from roadanomaly.errors import DataError, OptionError

_FIRST_IGNORED = 252
"""From this label on no known class is named: 252 inlier, 253 void, 254 negative, 255 ignore."""


@dataclass(frozen=True)
class ClassResult:
    """Segmentation quality of a data set.

    Args:
        classes: their names.
        iou: `(K,)` intersection over union, 0..1; 0 for a class that was predicted but never
            labelled, NaN for one that was neither.
        miou: mean of `iou` over the classes that occur in the labels; classes absent from the
            labels are left out of the mean, whether predicted or not. NaN without a label.
        confusion: `(K, K)` int64 pixels, rows are labels, columns predictions.
    """

    classes: tuple[str, ...]
    iou: np.ndarray
    miou: float
    confusion: np.ndarray


class ClassConfusion:
    """Confusion of the known classes over all frames so far.

    Args:
        classes: names, in the order of the class indices.

    Raises:
        OptionError: no class, or more than labels below 252 can name.
    """

    def __init__(self, classes: tuple[str, ...]) -> None:
        self.classes = tuple(classes)
        count = len(self.classes)
        if not 0 < count <= _FIRST_IGNORED:
            msg = f"{count} classes were given; between 1 and {_FIRST_IGNORED} can be counted."
            raise OptionError(msg)
        self._confusion = np.zeros((count, count), np.int64)

    def update(self, pred: np.ndarray, label: np.ndarray) -> None:
        """Count one image or batch; pixels with label >= 252 are left out.

        Args:
            pred: `(..., H, W)` integer class indices.
            label: same shape, uint8: class index, 252 inlier of unknown class, 253 void, 254
                negative or 255 ignore.

        Raises:
            DataError: wrong shape or type, or a counted pixel whose id is no class.
        """
        pred, label = np.asarray(pred), np.asarray(label)
        if pred.shape != label.shape:
            msg = (
                f"the prediction has shape {pred.shape} and the label {label.shape}; "
                "bring the prediction to the size of the label first."
            )
            raise DataError(msg)
        if label.dtype != np.uint8 or pred.dtype.kind not in "iu":
            msg = (
                f"the prediction is {pred.dtype} and the label {label.dtype}; class indices "
                "must be integers and labels uint8."
            )
            raise DataError(msg)
        known = label < _FIRST_IGNORED
        count = len(self.classes)
        true, called = label[known].astype(np.int64), pred[known].astype(np.int64)
        for name, ids in (("label", true), ("prediction", called)):
            stray = ids[(ids < 0) | (ids >= count)]
            if stray.size:
                msg = (
                    f"the {name} holds the id {int(stray[0])}; with {count} classes, ids must "
                    f"be 0..{count - 1}, and labels may also be 252 inlier of unknown class, 253 "
                    "void, 254 negative or 255 ignore."
                )
                raise DataError(msg)
        pairs = np.bincount(true * count + called, minlength=count * count)
        self._confusion += pairs.reshape(count, count)

    def merge(self, other: ClassConfusion) -> None:
        """Add what another process counted.

        Raises:
            OptionError: the other counts other classes.
        """
        if self.classes != other.classes:
            msg = (
                f"a confusion of {other.classes} cannot join one of {self.classes}; "
                "start all processes with the same classes in the same order."
            )
            raise OptionError(msg)
        self._confusion += other._confusion

    def compute(self) -> ClassResult:
        """Summarise what was counted so far."""
        return class_result(self.classes, self._confusion.copy())


def class_result(classes: tuple[str, ...], confusion: np.ndarray) -> ClassResult:
    """Summarise a confusion, `(K, K)` int64 pixels, rows labels, columns predictions."""
    hit = np.diag(confusion)
    labelled = confusion.sum(1)
    union = labelled + confusion.sum(0) - hit
    iou = np.divide(hit, union, out=np.full(hit.size, np.nan), where=union > 0)
    present = iou[labelled > 0]
    return ClassResult(
        classes=classes,
        iou=iou,
        miou=float(present.mean()) if present.size else float("nan"),
        confusion=confusion,
    )
