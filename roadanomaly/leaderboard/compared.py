"""Intervals of rows, and of their differences to the reference, kept: each is drawn once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from roadanomaly.evaluation.spool import fingerprint
from roadanomaly.leaderboard.config import Board
from roadanomaly.leaderboard.places import read_values, write_values
from roadanomaly.leaderboard.results import RowResult, Scored
from roadanomaly.metrics.bootstrap import Difference, Interval
from roadanomaly.report.comparison import Entry, intervals_of, pair_of

FORMAT = 1
"""Of what is kept; another one makes it void."""


@dataclass(frozen=True)
class Compared:
    """A row on one set.

    Args:
        intervals: of its numbers over frames, by metric; of several seeds, the means of their ends.
        differences: of its first seed to the reference's on the same frames, by metric; empty of
            the reference itself.
    """

    intervals: dict[str, Interval]
    differences: dict[str, Difference]


def compare_rows(
    board: Board,
    rows: Sequence[RowResult],
    set_name: str,
    step: Callable[[], object] = lambda: None,
) -> dict[str, Compared]:
    """Return what the bootstrap says of each row that has figures on a set, by name.

    Args:
        board: says which row is the reference, and how many draws are taken.
        rows: all.
        set_name: of the board.
        step: called once a row.
    """
    scored = {row.name: row.scored[set_name] for row in rows if row.scored[set_name]}
    reference = scored.get(board.against)
    found = {}
    for name, seeds in scored.items():
        against = None if reference is None or name == board.against else reference[0]
        found[name] = _kept(board, set_name, name, seeds, against)
        step()
    return found


def _kept(
    board: Board, set_name: str, name: str, seeds: Sequence[Scored], against: Scored | None
) -> Compared:
    """Read a comparison that still holds, or make it."""
    path = Path(board.out) / "compared" / set_name / f"{name}.json"
    parts = {"format": FORMAT, "of": [one.key for one in seeds], "against": against and against.key}
    key = fingerprint({**parts, "resamples": board.resamples})
    held = read_values(path)
    if held.get("key") == key:
        return Compared(
            {metric: Interval(**values) for metric, values in held["intervals"].items()},
            {metric: Difference(**values) for metric, values in held["differences"].items()},
        )
    entries = [Entry(name, one.folder, one.found) for one in seeds]
    made = Compared(_mean([intervals_of(one, board.resamples) for one in entries]), {})
    if against is not None:
        before = Entry(board.against, against.folder, against.found)
        made = Compared(made.intervals, pair_of(before, entries[0], board.resamples).differences)
    intervals, differences = asdict_all(made.intervals), asdict_all(made.differences)
    write_values(path, {"key": key, "intervals": intervals, "differences": differences})
    return made


def _mean(found: Sequence[dict[str, Interval]]) -> dict[str, Interval]:
    """Return the means of values and ends over seeds."""

    def mean(metric: str) -> Interval:
        parts = [one[metric] for one in found]
        return Interval(
            value=float(np.mean([one.value for one in parts])),
            low=float(np.mean([one.low for one in parts])),
            high=float(np.mean([one.high for one in parts])),
            resamples=min(one.resamples for one in parts),
        )

    return {metric: mean(metric) for metric in found[0]}


def asdict_all(values: dict[str, Interval] | dict[str, Difference]) -> dict[str, dict[str, float]]:
    """Return values by metric as plain ones; NaN is written as Python's JSON has it."""
    return {metric: asdict(one) for metric, one in values.items()}
