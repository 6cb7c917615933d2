"""What a model is worth in a world, as plain numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from roadanomaly.calibration import WAYS, Calibration
from roadanomaly.evaluation.findings import Findings, ThresholdFinding

NAN = float("nan")


@dataclass(frozen=True)
class WorldResult:
    """One model in one world; fractions, NaN where undefined.

    Args:
        world: its name.
        frames: how many were scored.
        objects: true objects in them; 0 in an ordinary world.
        has_anomalies: whether any pixel is labelled as an anomaly.
        ap: average precision of all pixels together, exact.
        fpr95: false-positive rate at 95 % recall, exact.
        f1: mean component F1 at the threshold of the best pixel F1, as SegmentMeIfYouCan has it.
        threshold: the model's own; NaN where it has none, and then all below are.
        found: share of the objects that are found at the threshold (sIoU >= 0.25).
        false_a_frame: false components a frame at the threshold, of at least 500 pixels.
        clean: share of the frames without one.
        above: share of the inlier pixels above the threshold.
        ms: median time of a frame, milliseconds.
    """

    world: str
    frames: int
    objects: int
    has_anomalies: bool
    ap: float
    fpr95: float
    f1: float
    threshold: float
    found: float
    false_a_frame: float
    clean: float
    above: float
    ms: float


def result_of(world: str, findings: Findings, calibration: Calibration | None) -> WorldResult:
    """Sum up an evaluation's findings of one model.

    Args:
        world: name of the world.
        findings: of an evaluation in mode `exact`.
        calibration: the model's own, or None.
    """
    own = _own_threshold(findings, calibration)
    times = np.array([frame.ms for frame in findings.per_frame])
    return WorldResult(
        world=world,
        frames=findings.frames,
        objects=sum(frame.objects.siou.size for frame in findings.per_frame),
        has_anomalies=bool(findings.histogram.anomaly.sum()),
        ap=findings.exact["ap"],
        fpr95=findings.exact["fpr95"],
        f1=findings.exact["f1"],
        threshold=own.threshold if own else NAN,
        found=own.found if own else NAN,
        false_a_frame=own.false_a_frame if own else NAN,
        clean=own.clean if own else NAN,
        above=own.fpr if own else NAN,
        ms=float(np.median(times)) if times.size else NAN,
    )


def _own_threshold(findings: Findings, calibration: Calibration | None) -> ThresholdFinding | None:
    """Return the row of the threshold that `predict` would take."""
    if calibration is None:
        return None
    way = WAYS[calibration.way]
    return next(row for row in findings.thresholds if row.way == way)
