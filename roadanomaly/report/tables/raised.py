"""The table of a fit: what each threshold of a model raises on the frames that set them."""

from __future__ import annotations

from collections.abc import Mapping

from roadanomaly.evaluation.inlier_alarms import Raised
from roadanomaly.report.tables.formats import to_text
from roadanomaly.report.tables.table import Column, Table

COLUMNS = (
    Column("name", "threshold", "text"),
    Column("score", "score", "score"),
    Column("above", "pixels above", "percent"),
    Column("false_a_frame", "false objects/frame", "rate"),
    Column("clean", "clean frames", "percent"),
)


def raised_text(raised: Mapping[str, Raised]) -> str:
    """Write what thresholds raise, a line each.

    Args:
        raised: by the name of the threshold.
    """
    rows = tuple(
        (name, one.threshold, one.above, one.false_a_frame, one.clean)
        for name, one in raised.items()
    )
    return to_text(Table(COLUMNS, rows)) + "\n"
