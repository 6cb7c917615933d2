"""The tables of an evaluation: results, thresholds, further numbers, times."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np

from roadanomaly.evaluation.findings import Findings
from roadanomaly.report.tables.table import Cell, Column, Kind, Row, Table, find_best

Mode = Literal["official", "exact"]
NAN = float("nan")
METRICS = (
    Column("ap", "AP", "percent", "higher"),
    Column("fpr95", "FPR95", "percent", "lower"),
    Column("auroc", "AUROC", "percent", "higher"),
    Column("best_f1", "best F1", "percent", "higher"),
    Column("siou", "sIoU", "percent", "higher"),
    Column("ppv", "PPV", "percent", "higher"),
    Column("f1", "mean F1", "percent", "higher"),
)
"""What `score_frames` gives, in the leaderboard's order."""

SET = Column("set", "set", "text")
DETECTOR = Column("detector", "detector", "text")
FRAMES = Column("frames", "frames", "text")
EXACT_AP = Column("ap_exact", "AP exact", "percent", "higher")
TIME = Column("ms", "ms/frame", "milliseconds")
LEARNED = Column("learned_from", "learned from", "text")
THRESHOLDS = (
    SET,
    DETECTOR,
    Column("way", "threshold by", "text"),
    Column("fitted_on", "chosen on", "text"),
    Column("stated", "stated FPR"),
    Column("fpr", "measured FPR"),
    Column("threshold", "threshold", "score"),
    Column("tpr", "TPR", "percent", "higher"),
    Column("precision", "precision", "percent", "higher"),
    Column("f1", "F1", "percent", "higher"),
    Column("siou", "sIoU", "percent", "higher"),
    Column("ppv", "PPV", "percent", "higher"),
    Column("component_f1", "mean F1", "percent", "higher"),
    Column("found", "objects found", "percent", "higher"),
    Column("false_a_frame", "false/frame", "rate", "lower"),
)
TIMES = (
    SET,
    DETECTOR,
    Column("median", "median ms", "milliseconds"),
    Column("mean", "mean ms", "milliseconds"),
    Column("p95", "95th percentile ms", "milliseconds"),
    Column("slowest", "slowest ms", "milliseconds"),
    Column("frames", "frames", "count"),
)
TITLES = {
    "ap50": "AP50",
    "closed_miou": "closed mIoU",
    "open_miou": "open mIoU",
    "anomaly_iou": "anomaly IoU",
    "miou": "mIoU",
}
"""Of further numbers whose keys are not words."""

WORDS = {
    "none": "inliers",
    "unknown": "unknown",
    "negatives": "inliers, negatives",
    "void": "inliers, void regions",
    "anomalies": "inliers, labelled anomalies",
}


def learned_from(supervision: str) -> str:
    """Say what a detector learned from.

    >>> learned_from("none"), learned_from("pasted objects")
    ('inliers', 'inliers, pasted objects')
    """
    return WORDS.get(supervision, f"inliers, {supervision}")


def main_numbers(found: Findings) -> dict[str, float]:
    """Return the official numbers, or the exact ones of an evaluation that took no others."""
    return found.official or found.exact


def main_mode(findings: Sequence[Findings]) -> Mode:
    """Return whose numbers `main_numbers` gives of an evaluation."""
    return "official" if any(found.official for found in findings) else "exact"


def results_table(findings: Sequence[Findings], mode: Mode | None = None) -> Table:
    """Return one row a detector and set.

    Args:
        findings: of an evaluation.
        mode: whose numbers; None for the main ones, with the exact AP beside. Where a split was
            scored in part, a column says how many of its frames were.
    """
    extra = () if mode else (EXACT_AP,)
    parts = partly_scored(findings)
    last = (LEARNED, FRAMES) if parts else (LEARNED,)
    columns = (SET, DETECTOR, METRICS[0], *extra, *METRICS[1:], TIME, *last)
    rows = tuple(_result(found, mode, columns) for found in findings)
    best = find_best(columns, rows, [found.set for found in findings])
    return Table(columns, rows, best, (*parts, *mixed_supervision(findings)))


def partly_scored(findings: Sequence[Findings]) -> list[str]:
    """Say, once a set, where numbers are of a part of a split."""
    firsts = {found.set: found for found in reversed(findings)}
    return [
        f"{name}: {firsts[name].frames} of the split's {firsts[name].listed} frames were scored; "
        "the numbers cannot be compared with those of the whole split."
        for name in dict.fromkeys(found.set for found in findings)
        if firsts[name].frames != firsts[name].listed
    ]


def _result(found: Findings, mode: Mode | None, columns: tuple[Column, ...]) -> Row:
    numbers = getattr(found, mode) if mode else main_numbers(found)
    row: dict[str, Cell] = {metric.key: number(numbers, metric.key) for metric in METRICS}
    row |= {
        "set": found.set,
        "frames": f"{found.frames} of {found.listed}",
        "detector": found.detector,
        "ap_exact": number(found.exact, "ap"),
        "ms": median_ms(found),
        "learned_from": learned_from(found.supervision),
    }
    return tuple(row[column.key] for column in columns)


def number(values: dict[str, float], key: str) -> float:
    """Return a number, NaN where it is absent or was stored as nothing."""
    value = values.get(key)
    return NAN if value is None else float(value)


def frame_times(found: Findings) -> np.ndarray:
    """Return the known times of frames, milliseconds, in the order of frames."""
    times = np.array([frame.ms for frame in found.per_frame], float)
    return times[~np.isnan(times)]


def median_ms(found: Findings) -> float:
    """Return the median time of a frame, NaN for stored maps."""
    times = frame_times(found)
    return float(np.median(times)) if times.size else NAN


def supervision_notes(rows: Iterable[tuple[str, str]]) -> list[str]:
    """Warn where rows of one table learned from different kinds of data.

    Args:
        rows: name of each row, and its supervision.
    """
    kinds: dict[str, list[str]] = {}
    for name, supervision in rows:
        names = kinds.setdefault(learned_from(supervision), [])
        if name not in names:
            names.append(name)
    if len(kinds) < 2:
        return []
    parts = "; ".join(f"{', '.join(names)}: {kind}" for kind, names in kinds.items())
    return [f"These rows did not learn from the same data ({parts}); compare within one kind."]


def mixed_supervision(findings: Sequence[Findings]) -> list[str]:
    """Warn where an evaluation's detectors learned from different kinds of data."""
    return supervision_notes((found.detector, found.supervision) for found in findings)


def threshold_table(findings: Sequence[Findings]) -> Table:
    """Return what each way to choose a threshold gives, stated against measured rate."""
    rows = tuple(
        (found.set, found.detector, *(getattr(row, column.key) for column in THRESHOLDS[2:]))
        for found in findings
        for row in found.thresholds
    )
    return Table(THRESHOLDS, rows)


def time_table(findings: Sequence[Findings]) -> Table:
    """Return how long frames took; nothing for stored maps."""
    rows: list[Row] = []
    for found in findings:
        times = frame_times(found)
        if times.size:
            summary = (np.median(times), times.mean(), np.percentile(times, 95), times.max())
            rows.append((found.set, found.detector, *map(float, summary), float(times.size)))
    return Table(TIMES, tuple(rows))


def extra_tables(findings: Sequence[Findings]) -> dict[str, Table]:
    """Return the further numbers, a table for each of their groups.

    A fraction is shown in percent; a whole number as a count; what a key calls a threshold, or
    lies outside 0..1, as it is. What is the same of all detectors of a set is one row, as the
    classes of those that read one pass of one network; a detector that changes them has its own.
    """
    groups: dict[str, dict[str, Kind]] = {}
    for found in findings:
        for group, values in found.extra.items():
            known = groups.setdefault(group, {})
            for key, value in values.items():
                kind = _kind(key, value)
                known[key] = kind if known.get(key, "percent") == "percent" else known[key]
    return {group: _extra(findings, group, kinds) for group, kinds in groups.items()}


def _kind(key: str, value: float | None) -> Kind:
    if isinstance(value, int):
        return "count"
    outside = value is not None and not math.isnan(value) and not -1 <= value <= 1
    return "score" if "threshold" in key or outside else "percent"


def _extra(findings: Sequence[Findings], group: str, kinds: dict[str, Kind]) -> Table:
    known = {metric.key: metric for metric in METRICS}
    columns = [
        known.get(key, Column(key, TITLES.get(key, key.replace("_", " ")), kind))
        for key, kind in kinds.items()
    ]
    of_sets: dict[str, list[Row]] = {}
    for found in findings:
        if group in found.extra:
            numbers = (number(found.extra[group], key) for key in kinds)
            of_sets.setdefault(found.set, []).append((found.set, found.detector, *numbers))
    rivals = Counter(found.set for found in findings)
    rows = [row for name, some in of_sets.items() for row in _once(some, rivals[name])]
    return Table((SET, DETECTOR, *columns), tuple(rows))


def _once(rows: list[Row], detectors: int) -> list[Row]:
    """Return one row of all detectors of a set where all say the same, else the rows."""
    numbers = np.array([row[2:] for row in rows], float)
    same = len(rows) == detectors > 1 and np.array_equal(
        numbers, numbers[:1].repeat(len(rows), 0), True
    )
    return [(rows[0][0], "all", *rows[0][2:])] if same else rows
