"""Ways to choose a threshold, and what each turned out to give on a set."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from roadanomaly.calibration import WAYS, Calibration, calibrate, just_below
from roadanomaly.evaluation.findings import ThresholdFinding
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

    Args:
        calibration: fitted on named data.
        rates: false-positive rates; empty takes the calibration's own.

    Raises:
        OptionError: a rate that its data cannot tell.
    """
    choices = [
        Choice(WAYS[way], calibration.data, rate, _above(calibration.threshold_by(way, rate)))
        for way in ("rate", "conformal")
        for rate in rates or (calibration.rate,)
    ]
    if calibration.f1_threshold is not None:
        cut = _above(calibration.f1_threshold)
        choices.append(Choice(WAYS["f1"], calibration.f1_data, NAN, cut))
    return choices


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
        rows.append(
            ThresholdFinding(
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
        )
    return tuple(rows)


def ratio(part: float, whole: float) -> float:
    """Return a fraction, NaN of nothing."""
    return part / whole if whole else NAN
