"""Metrics beside those of `score_frames`, which some protocols ask for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from roadanomaly.data.base import FrameSet
from roadanomaly.errors import DataError
from roadanomaly.evaluation.classes import class_table
from roadanomaly.evaluation.judge import Judged
from roadanomaly.evaluation.measure import Measured
from roadanomaly.evaluation.protocols import Protocol
from roadanomaly.metrics.classes import ClassConfusion, class_result
from roadanomaly.metrics.component import pool_objects
from roadanomaly.metrics.curve import PixelResult
from roadanomaly.metrics.instance import Instances
from roadanomaly.metrics.open_set import OpenSet, combine_towns, threshold_at_tpr
from roadanomaly.metrics.per_image import mean_of_images, tpr_at_fpr

Groups = dict[str, dict[str, float]]


class KnownClasses:
    """Predicted classes in the data set's own, where that can be said.

    Args:
        frames: the set.
        predicted: names of the predicted classes; empty for stored maps.
    """

    def __init__(self, frames: FrameSet, predicted: tuple[str, ...]) -> None:
        self.names, self.why_not = frames.classes, ""
        self.table: np.ndarray | None = None
        if not (frames.classes and predicted):
            return
        try:
            self.table = class_table(predicted, frames.classes)
        except DataError as error:
            self.why_not = f"no closed mIoU: {error}"

    def by_column(
        self, classes: Mapping[str, np.ndarray], detectors: Sequence[str]
    ) -> dict[int, np.ndarray]:
        """Return `(H, W)` uint8 predictions in the set's classes by the number of the detector.

        Args:
            classes: of one frame, by detector.
            detectors: in their order.
        """
        if self.table is None:
            return {}
        numbered = enumerate(detectors)
        return {place: self.table[classes[name]] for place, name in numbered if name in classes}

    def confusions(
        self, classes: Mapping[str, np.ndarray], label: np.ndarray | None
    ) -> dict[str, np.ndarray]:
        """Return `(K, K)` pixels of one frame by detector; none where there is nothing to compare.

        Args:
            classes: of the frame, by detector; an array that several share is counted once.
            label: `(H, W)` uint8, or None.
        """
        if self.table is None or label is None:
            return {}
        distinct = {id(one): one for one in classes.values()}
        counted = {key: self._confusion(one, label) for key, one in distinct.items()}
        return {name: counted[id(one)] for name, one in classes.items()}

    def _confusion(self, classes: np.ndarray, label: np.ndarray) -> np.ndarray:
        assert self.table is not None
        counted = ClassConfusion(self.names)
        counted.update(self.table[classes], label)
        return counted.compute().confusion

    def groups(self, measured: Sequence[Measured]) -> Groups:
        """Return closed mIoU and the IoU of each class over all frames."""
        parts = [one.confusion for one in measured if one.confusion.size]
        if not parts:
            return {}
        found = class_result(self.names, np.sum(parts, axis=0))
        by_class = {name: float(v) for name, v in zip(self.names, found.iou, strict=True)}
        return {"closed set": {"miou": found.miou}, "closed set IoU": by_class}


def open_thresholds(
    protocol: Protocol, measured: Sequence[Measured]
) -> tuple[dict[str, float], str]:
    """Return each town's threshold of open-mIoU, taken from the other town.

    Returns:
        beginning of ids to threshold, and why there is none (then it is empty).
    """
    found = {}
    for town in protocol.towns:
        parts = [one.positives for one in measured if not str(one.image.frame_id).startswith(town)]
        pooled = np.concatenate(parts) if parts else np.empty(0)
        if not pooled.size:
            other = " or ".join(protocol.towns)
            return {}, (
                f"no open-mIoU: the threshold of {town} comes from the other town, and these "
                f"frames show no anomaly there; score the split that holds both {other}."
            )
        found[town] = threshold_at_tpr(pooled)
    return found, ""


def further_groups(
    protocol: Protocol,
    measured: Sequence[Measured],
    judged: Sequence[Judged],
    curves: Mapping[str, PixelResult],
) -> Groups:
    """Return the numbers that a protocol asks for beside the usual ones.

    Args:
        protocol: which.
        measured: first look, one a frame.
        judged: second look, one a frame.
        curves: pooled pixel metrics by mode.
    """
    groups: Groups = {}
    if "per image" in protocol.further:
        groups["per image"] = mean_of_images([one.image for one in measured])
    if "TPR at 5 % FPR" in protocol.further:
        groups["TPR at 5 % FPR"] = {mode: tpr_at_fpr(curve) for mode, curve in curves.items()}
    for name in protocol.size_ranges:
        found = pool_objects([one.within[name] for one in judged])
        groups[f"{name} components"] = {"siou": found.siou, "ppv": found.ppv, "f1": found.f1}
    instances = [one.instances for one in judged]
    if any(one is not None for one in instances):
        metric = Instances()
        for number, one in enumerate(instances):
            if one is not None:
                metric.add(number, one)
        ap = metric.compute()
        groups["instances"] = {"ap": ap.ap, "ap50": ap.ap50}
    groups |= _open_groups(judged)
    return groups


def why_no_instances(protocol: Protocol, judged: Sequence[Judged]) -> str:
    """Say where instance AP is missing or of some frames; empty where it is of all, or unasked."""
    every, having = len(judged), sum(one.instances is not None for one in judged)
    if having == every or "instances" not in protocol.further:
        return ""
    what = f"instance AP is of {having} of {every} frames" if having else "no instance AP"
    return (
        f"{what}: {every - having} of {every} frames have no instance map. Frames that `--size`, "
        "`--negatives` or `--region road` changed have none; else put the set's files "
        "`*_gtCoarse_instanceIds.png` beside its labels."
    )


def _open_groups(judged: Sequence[Judged]) -> Groups:
    towns: dict[str, OpenSet] = {}
    for one in judged:
        if one.open_set is None:
            continue
        if one.town not in towns:
            towns[one.town] = OpenSet(one.open_set.classes, one.open_set.threshold)
        towns[one.town].merge(one.open_set)
    if not towns:
        return {}
    found = combine_towns([counted.compute() for counted in towns.values()])
    return {
        "open set": {
            "closed_miou": found.closed_miou,
            "open_miou": found.open_miou,
            "anomaly_iou": found.anomaly_iou,
        }
    }
