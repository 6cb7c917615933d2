"""A table as a value: columns that know their unit, rows of plain numbers and words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np


class Spread(float):
    """A mean over several runs, with their standard deviation (n - 1); it counts as its mean.

    Args:
        values: one a run; the mean is NaN if any is, and so is the deviation of a single one.
    """

    deviation: float

    def __new__(cls, values: Sequence[float]) -> Spread:
        """Make the mean."""
        made = super().__new__(cls, np.mean(values) if len(values) else math.nan)
        made.deviation = float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
        return made


Cell = str | float
Row = tuple[Cell, ...]
Kind = Literal[
    "text", "percent", "points", "milliseconds", "score", "count", "rate", "probability", "millions"
]
UNDEFINED = "–"
ARROWS = {"higher": " ↑", "lower": " ↓", "": ""}


@dataclass(frozen=True)
class Column:
    """One column.

    Args:
        key: its name for programs, the header of a CSV file.
        title: its name for people, without a unit.
        kind: how its numbers are shown: `percent` and `points` (a signed difference of
            percents) hold fractions; a `rate` is a number a frame; `millions` are shown by them.
        better: `higher`, `lower`, or empty where neither is.
    """

    key: str
    title: str
    kind: Kind = "percent"
    better: Literal["higher", "lower", ""] = ""

    @property
    def heading(self) -> str:
        """The title with an arrow to the better side."""
        return self.title + ARROWS[self.better]

    @property
    def numeric(self) -> bool:
        """Whether its cells are numbers, which stand to the right."""
        return self.kind != "text"


@dataclass(frozen=True)
class Table:
    """Rows under columns.

    Args:
        columns: from left to right.
        rows: one cell a column; NaN where undefined.
        best: `(row, column)` of the cells that are best among those they compete with.
        notes: what must be known to read it, a sentence each.
        quiet: rows that are shown for orientation only, such as published numbers.
    """

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    best: frozenset[tuple[int, int]] = frozenset()
    notes: tuple[str, ...] = ()
    quiet: frozenset[int] = frozenset()

    def without(self, key: str) -> Table:
        """Return the table without a column, or itself where it has none of that key."""
        keys = [column.key for column in self.columns]
        if key not in keys:
            return self
        gone = keys.index(key)
        return replace(
            self,
            columns=self.columns[:gone] + self.columns[gone + 1 :],
            rows=tuple(row[:gone] + row[gone + 1 :] for row in self.rows),
            best=frozenset((row, at - (at > gone)) for row, at in self.best if at != gone),
        )

    def texts(self) -> list[list[str]]:
        """Return the rows as people read them."""
        return [
            [show(cell, column) for cell, column in zip(row, self.columns, strict=True)]
            for row in self.rows
        ]


def show(cell: Cell, column: Column) -> str:
    """Write one cell for people.

    >>> show(0.1234, Column("ap", "AP")), show(-0.005, Column("d", "change", "points"))
    ('12.34', '-0.50')
    """
    if isinstance(cell, str):
        return cell
    if math.isnan(cell):
        return UNDEFINED
    if isinstance(cell, Spread) and not math.isnan(cell.deviation):
        around = replace(column, kind="percent") if column.kind == "points" else column
        return f"{show(float(cell), column)} ± {show(cell.deviation, around)}"
    if column.kind == "points":
        return f"{100 * cell:+.2f}"
    if column.kind == "milliseconds":
        return f"{cell:.0f}" if cell >= 10 else f"{cell:.1f}"
    if column.kind == "score":
        return f"{cell:.5g}"
    if column.kind == "count":
        return f"{cell:.0f}"
    if column.kind == "rate":
        return f"{cell:.2f}"
    if column.kind == "millions":
        return f"{cell / 1e6:.2f} M"
    if column.kind == "probability":
        return f"{cell:.3f}"
    return f"{100 * cell:.2f}"


def find_best(
    columns: Sequence[Column], rows: Sequence[Sequence[Cell]], groups: Sequence[str]
) -> frozenset[tuple[int, int]]:
    """Find the best cell of each column within each group of rows that are not all alike.

    Args:
        columns: of the table.
        rows: of the table.
        groups: one name a row; rows with the same name compete.
    """
    found = set()
    for group in set(groups):
        members = [place for place, name in enumerate(groups) if name == group]
        for place, column in enumerate(columns):
            sign = {"higher": 1, "lower": -1}.get(column.better)
            values = {member: rows[member][place] for member in members}
            numbers = {
                m: v for m, v in values.items() if isinstance(v, float) and not math.isnan(v)
            }
            if sign and len(set(numbers.values())) > 1:
                best = max(sign * value for value in numbers.values())
                found |= {(m, place) for m, value in numbers.items() if sign * value == best}
    return frozenset(found)
