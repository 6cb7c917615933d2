"""What half precision changed: the same frames in float32 beside it."""

from __future__ import annotations

from collections.abc import Sequence

from roadanomaly.evaluation.findings import Findings
from roadanomaly.report.tables.results import DETECTOR, SET
from roadanomaly.report.tables.table import Column, Row, Table


def precision_table(findings: Sequence[Findings]) -> Table:
    """Return AP and FPR95 in both precisions, exact; no row where no precision was checked."""
    rows: list[Row] = []
    half = next((found.precision for found in findings if found.precision_effect), "half")
    columns = (
        SET,
        DETECTOR,
        Column("frames", "frames", "count"),
        Column("ap_f32", "AP f32", "percent", "higher"),
        Column("ap", f"AP {half}", "percent", "higher"),
        Column("ap_change", "change", "points"),
        Column("fpr95_f32", "FPR95 f32", "percent", "lower"),
        Column("fpr95", f"FPR95 {half}", "percent", "lower"),
        Column("fpr95_change", "change", "points"),
        Column("largest_difference", "largest difference", "score"),
        Column("rank_correlation", "rank correlation", "score"),
    )
    for found in findings:
        one = found.precision_effect
        if one is not None:
            ap, fpr95 = (one.ap_f32, one.ap), (one.fpr95_f32, one.fpr95)
            changes = ((*ap, ap[1] - ap[0]), (*fpr95, fpr95[1] - fpr95[0]))
            more = (one.largest_difference, one.rank_correlation)
            rows.append((found.set, found.detector, one.frames, *changes[0], *changes[1], *more))
    return Table(columns, tuple(rows))


def precision_title(findings: Sequence[Findings]) -> str:
    """Say what the table compares."""
    half = next((found.precision for found in findings if found.precision_effect), "half")
    return f"what {half} changed on frames that were scored in float32 too (exact)"
