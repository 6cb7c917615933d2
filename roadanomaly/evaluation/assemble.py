"""From what was seen in the frames to findings: pool, choose thresholds, put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from roadanomaly.evaluation.findings import (
    Findings,
    FrameFinding,
    Histogram,
    PlotCurve,
    ThresholdFinding,
)
from roadanomaly.evaluation.further import (
    KnownClasses,
    further_groups,
    open_thresholds,
    why_no_instances,
)
from roadanomaly.evaluation.job import Job
from roadanomaly.evaluation.judge import Cut, Judged, Judging
from roadanomaly.evaluation.measure import Measured
from roadanomaly.evaluation.thresholds import (
    BEST_F1,
    NAN,
    THIS_SET,
    Choice,
    calibrated_choices,
    known_calibrations,
    ratio,
    threshold_findings,
    why_no_conformal,
)
from roadanomaly.evaluation.truth import listed_frames
from roadanomaly.metrics.component import pool_objects
from roadanomaly.metrics.curve import PixelResult, thinned
from roadanomaly.metrics.exact import pool_runs
from roadanomaly.metrics.frames import numbers_of
from roadanomaly.metrics.pixel import FrameCurve, pool_curves
from roadanomaly.metrics.runs import Run
from roadanomaly.scores import ScoreDoubts, doubt_ap

BINS = 120
CHECK = "check its labels, its split and what they are read as"
OFF_THE_ROAD = (
    "this detector judges drivable ground alone, and these numbers hold for all that the set "
    "scores; `--region road` restricts them where the set labels roads."
)


@dataclass(frozen=True)
class Pooled:
    """First look at all frames, of one detector.

    Args:
        detector: its name.
        measured: one a frame, sorted by id.
        order: the number of each of these frames in the set.
        curves: `official` and `exact`, those that were asked for.
        choices: thresholds, the benchmark's own first, then one cut a further mode.
        edges: of the histogram.
        open_thresholds: of open-mIoU by town.
        notes: why something could not be computed.
    """

    detector: str
    measured: tuple[Measured, ...]
    order: tuple[int, ...]
    curves: dict[str, PixelResult]
    choices: tuple[Choice, ...]
    edges: np.ndarray
    open_thresholds: dict[str, float]
    notes: tuple[str, ...]


def pool(
    job: Job, detector: str, measured: Sequence[Measured], runs: Sequence[Run], order: Sequence[int]
) -> Pooled:
    """Sum up the first look: curves, and the thresholds that follow from them.

    Args:
        job: what is scored.
        detector: whose measures these are.
        measured: one a frame, sorted by id.
        runs: sorted scores, likewise.
        order: number of each frame in the set.
    """
    curves = {}
    bins = [one.curve for one in measured]
    if job.mode != "exact":
        curves["official"] = thinned(pool_curves(bins))
    if job.mode != "official":
        curves["exact"] = pool_runs(runs, thin=True)
    choices = [
        Choice(BEST_F1, THIS_SET, NAN, Cut(curve.best_f1_threshold, mode))
        for mode, curve in curves.items()
    ]
    notes = []
    for calibration in known_calibrations(job, detector):
        choices += calibrated_choices(calibration, job.rates)
        notes += [] if job.rates else [why_no_conformal(calibration)]
    towns: dict[str, float] = {}
    if job.protocol.towns and job.source.classes:
        towns, why = open_thresholds(job.protocol, measured)
        notes.append(why)
    return Pooled(
        detector,
        tuple(measured),
        tuple(order),
        curves,
        tuple(choices),
        histogram_edges(bins),
        towns,
        tuple(filter(None, notes)),
    )


def histogram_edges(curves: Sequence[FrameCurve]) -> np.ndarray:
    """Return even edges from where 99.9 % of all pixels lie above to where next to none do.

    The highest percent of the anomalies is always within.
    """
    thresholds = np.concatenate([curve.thresholds for curve in curves])
    tp, fp = (np.concatenate([getattr(one, name) for one in curves]) for name in ("tp", "fp"))
    usable = np.isfinite(thresholds)
    order = np.argsort(-thresholds[usable], kind="stable")
    if not order.size:
        return np.linspace(0, 1, BINS + 1)
    thresholds = thresholds[usable][order]
    hit, every = (np.cumsum(part[usable][order]) for part in (tp, tp + fp))
    low = thresholds[min(np.searchsorted(every, 0.999 * every[-1]), every.size - 1)]
    high = thresholds[np.searchsorted(every, 0.0005 * every[-1])]
    if hit[-1]:
        high = max(high, thresholds[np.searchsorted(hit, 0.01 * hit[-1])])
    return np.linspace(low, high if high > low else low + 1, BINS + 1)


def judging(job: Job, pooled: Pooled, classes: tuple[str, ...]) -> Judging:
    """Say what the second look is for."""
    return Judging(
        cuts=tuple(choice.cut for choice in pooled.choices),
        track=job.sizes,
        edges=pooled.edges,
        size_ranges=job.protocol.size_ranges,
        instances="instances" in job.protocol.further,
        classes=classes,
        open_thresholds=pooled.open_thresholds,
    )


def put_together(
    job: Job, pooled: Pooled, by_number: Sequence[Judged], known: KnownClasses
) -> Findings:
    """Return what was found of one detector.

    Args:
        job: what was scored.
        pooled: the first look.
        by_number: the second, by the number of the frame.
        known: the segmenter's classes.
    """
    judged = [by_number[number] for number in pooled.order]
    curves, measured = pooled.curves, pooled.measured
    numbers = {
        mode: numbers_of(curve, pool_objects([one.objects[place] for one in judged]))
        for place, (mode, curve) in enumerate(curves.items())
    }
    positives = sum(one.image.positives for one in measured)
    negatives = sum(one.image.negatives for one in measured)
    record = job.frames.record()
    extra = known.groups(measured) | further_groups(job.protocol, measured, judged, curves)
    inlier, anomaly = np.sum([one.histogram for one in judged], axis=0)
    return Findings(
        set=job.protocol.name,
        title=job.frames.title,
        detector=pooled.detector,
        supervision=job.source.supervision[pooled.detector],
        track=job.sizes,
        averaging=job.protocol.averaging,
        data=record,
        frames=len(measured),
        listed=listed_frames(job.frames),
        official=numbers.get("official", {}),
        exact=numbers.get("exact", {}),
        extra=extra,
        thresholds=_rows(pooled, judged, positives, negatives),
        warnings=warnings(job, pooled, judged, known),
        curves={mode: plot_curve(curve) for mode, curve in curves.items()},
        histogram=Histogram(pooled.edges, inlier, anomaly),
        per_frame=tuple(_frame(one, found) for one, found in zip(measured, judged, strict=True)),
        precision=job.source.precision,
    )


def _rows(
    pooled: Pooled, judged: Sequence[Judged], positives: int, negatives: int
) -> tuple[ThresholdFinding, ...]:
    """Leave out the second of two best-F1 rows: it is the exact mode's, and nearly the first."""
    rows = threshold_findings(pooled.choices, judged, positives, negatives)
    return (rows[0], *rows[len(pooled.curves) :])


def warnings(
    job: Job, pooled: Pooled, judged: Sequence[Judged], known: KnownClasses
) -> tuple[str, ...]:
    """Return why a number cannot be trusted, or is missing."""
    doubts = ScoreDoubts()
    for one in pooled.measured:
        doubts.merge(one.doubts)
    found = [*_one_sided(job, pooled), *doubts.warnings(), *pooled.notes]
    found += filter(None, [why_no_instances(job.protocol, judged)])
    if len(pooled.curves) == 2:
        gap = doubt_ap(pooled.curves["official"].ap, pooled.curves["exact"].ap)
        found += [gap] if gap else []
    found += [known.why_not] if known.why_not else []
    found += [OFF_THE_ROAD] if _off_the_road(job, pooled.detector) else []
    return tuple(found)


def _one_sided(job: Job, pooled: Pooled) -> list[str]:
    """Say where a set has nothing to find, or nothing to tell it from."""
    anomalies = sum(one.image.positives for one in pooled.measured)
    inliers = sum(one.image.negatives for one in pooled.measured)
    if anomalies and inliers:
        return []
    kinds = ["anomaly"] * (not anomalies) + ["inlier"] * (not inliers)
    ignored = "; every pixel is ignored" if len(kinds) == 2 else ""
    undefined = (
        f"no labelled pixel of {job.frames.told} is an {' or an '.join(kinds)}{ignored}, so no "
        "number that compares the two is defined"
    )
    ordinary = ". Of ordinary frames false objects are counted; if it should show anomalies"
    return [f"{undefined}{ordinary if inliers else ''}: {CHECK}."]


def _off_the_road(job: Job, detector: str) -> bool:
    """Whether a detector that judges the road alone is scored on more than that."""
    on_ground = job.protocol.on_ground or job.frames.record().get("region") == "road"
    return job.source.regions.get(detector) == "road" and not on_ground


def plot_curve(curve: PixelResult) -> PlotCurve:
    """Return what is drawn of a curve; nothing where it has one kind of pixels only."""
    if not (curve.positives and curve.negatives):
        return PlotCurve(*(np.empty(0) for _ in range(5)))
    total = curve.precision + curve.tpr
    f1 = np.divide(
        2 * curve.precision * curve.tpr, total, out=np.zeros_like(total), where=total > 0
    )
    return PlotCurve(curve.thresholds, curve.tpr, curve.precision, curve.fpr, f1)


def _frame(measured: Measured, judged: Judged) -> FrameFinding:
    tp, fp = int(judged.tp[0]), int(judged.fp[0])
    one = measured.image
    f1 = ratio(2 * tp, tp + fp + one.positives)
    return FrameFinding(
        str(one.frame_id), one.ap, one.fpr95, f1, measured.ms, measured.curve, judged.objects[0]
    )
