"""Ways to choose a threshold, and what each turned out to give on a set."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from roadanomaly.calibration import WAYS, Calibration, calibrate, just_below
from roadanomaly.errors import OptionError
from roadanomaly.evaluation.findings import ThresholdFinding
from roadanomaly.evaluation.job import Job
from roadanomaly.evaluation.judge import Cut, Judged
from roadanomaly.metrics.alarms import count_alarms
from roadanomaly.metrics.component import pool_objects
from roadanomaly.metrics.exact import pool_runs
from roadanomaly.metrics.runs import Run

BEST_F1 = "best F1"
THIS_SET = "this set"
NAN = float("nan")


@dataclass(frozen=True)
class Choice:
    """A threshold and how it came about.

    Args:
        way: as in `ThresholdFinding`.
        fitted_on: the data that chose it, in words.
        stated: the false-positive rate that it promises, or NaN.
        cut: the mask that it makes.
    """

    way: str
    fitted_on: str
    stated: float
    cut: Cut


def calibrated_choices(calibration: Calibration, rates: Sequence[float]) -> list[Choice]:
    """Return what a model's calibration chooses: at each rate, conformal, and by validation F1.

    Its own rate has no conformal threshold where `why_no_conformal` says so.

    Args:
        calibration: fitted on named data.
        rates: false-positive rates; empty takes the calibration's own.

    Raises:
        OptionError: one of `rates` that its data cannot tell.
    """
    ways = ("rate",) if not rates and why_no_conformal(calibration) else ("rate", "conformal")
    choices = [
        Choice(WAYS[way], calibration.data, rate, _above(calibration.threshold_by(way, rate)))
        for way in ways
        for rate in rates or (calibration.rate,)
    ]
    if calibration.f1_threshold is not None:
        cut = _above(calibration.f1_threshold)
        choices.append(Choice(WAYS["f1"], calibration.f1_data, NAN, cut))
    return choices


def why_no_conformal(calibration: Calibration) -> str:
    """Say why a calibration's own rate has no conformal threshold; empty where it has one.

    The smallest rate that n pixels can tell is 1 / n, and the smallest p-value about 2 / n.
    """
    try:
        calibration.conformal_threshold(calibration.rate)
    except OptionError as error:
        return f"no conformal threshold of {calibration.data}: {error}"
    return ""


def known_calibrations(job: Job, detector: str) -> list[Calibration]:
    """Return a detector's calibrations: its model's own, then those of validation sets."""
    known = [job.source.calibrations.get(detector), *job.calibrations.get(detector, ())]
    return [one for one in known if one is not None]


def check_rates(job: Job) -> None:
    """Refuse false-positive rates that a detector's calibration cannot tell, before any scoring.

    Raises:
        OptionError: names the detector.
    """
    for detector in job.detectors:
        for calibration in known_calibrations(job, detector):
            try:
                calibrated_choices(calibration, job.rates)
            except OptionError as error:
                msg = f"rates of {detector}, calibrated on {calibration.data}: {error}"
                raise OptionError(msg) from error


def _above(threshold: float) -> Cut:
    return Cut(threshold, "above")


def calibration_from(
    runs: Sequence[Run], inlier_scores: Iterable[np.ndarray], rate: float, data: str
) -> Calibration:
    """Calibrate on a validation set that was scored as a test set is.


    Args:
        runs: sorted scores of its frames.
        inlier_scores: `(N,)` scores of each frame's inlier pixels.
        rate: false-positive rate of the threshold.
        data: what the set is, in words.

    Raises:
        DataError: it shows no inlier.
    """
    found = calibrate(inlier_scores, rate, data)
    best = pool_runs(runs, thin=True)
    if best.positives == 0:
        return found
    return found.with_f1(just_below(best.best_f1_threshold), data)


def threshold_findings(
    choices: Sequence[Choice], judged: Sequence[Judged], positives: int, negatives: int
) -> tuple[ThresholdFinding, ...]:
    """Say what each choice gave.

    Args:
        choices: in the order of the cuts.
        judged: one a frame.
        positives: anomaly pixels of all frames.
        negatives: inlier pixels of all frames.
    """
    rows = []
    for place, choice in enumerate(choices):
        tp = int(sum(one.tp[place] for one in judged))
        fp = int(sum(one.fp[place] for one in judged))
        objects = [one.objects[place] for one in judged]
        found, alarms = pool_objects(objects), count_alarms(objects)
        if not positives:  # nothing that was found can be right
            found = replace(found, siou=NAN, ppv=NAN, f1=NAN)
        row = ThresholdFinding(
            way=choice.way,
            fitted_on=choice.fitted_on,
            stated=choice.stated,
            threshold=choice.cut.threshold,
            tpr=ratio(tp, positives),
            fpr=ratio(fp, negatives),
            precision=ratio(tp, tp + fp) if positives else NAN,
            f1=ratio(2 * tp, tp + fp + positives) if positives else NAN,
            siou=found.siou,
            ppv=found.ppv,
            component_f1=found.f1,
            found=alarms.recall,
            false_a_frame=alarms.false_a_frame if positives or negatives else NAN,
            clean=alarms.clean_share if positives or negatives else NAN,
        )
        chosen = choice.way != BEST_F1 or (positives and negatives)
        rows.append(row if chosen else _undefined(row))
    return tuple(rows)


def _undefined(row: ThresholdFinding) -> ThresholdFinding:
    """Return a row of NaN: without both kinds of pixels no threshold is the best."""
    numbers: dict[str, Any] = {
        key: NAN for key, value in asdict(row).items() if isinstance(value, float)
    }
    return replace(row, **numbers)


def ratio(part: float, whole: float) -> float:
    """Return a fraction, NaN of nothing."""
    return part / whole if whole else NAN
