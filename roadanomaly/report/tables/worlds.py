"""The tables of held-out worlds: mean ranks, and what each model does in each world."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from roadanomaly.evaluation.worlds.alarms import Choice
from roadanomaly.evaluation.worlds.result import NAN, WorldResult
from roadanomaly.metrics.ranks import ranks
from roadanomaly.report.tables.formats import to_markdown, to_text
from roadanomaly.report.tables.table import Cell, Column, Row, Table, find_best

MODEL = Column("model", "model", "text")
MEAN_RANK = Column("mean_rank", "mean rank", "rate", "lower")
MEAN_RANK_FPR95 = Column("mean_rank_fpr95", "with FPR95", "rate", "lower")
WITH_ANOMALIES = (
    Column("ap", "AP", "percent", "higher"),
    Column("fpr95", "FPR95", "percent", "lower"),
    Column("f1", "mean F1", "percent", "higher"),
    Column("found", "objects found", "percent", "higher"),
)
AT_THRESHOLD = (
    Column("false_a_frame", "false/frame", "rate", "lower"),
    Column("clean", "clean frames", "percent", "higher"),
    Column("above", "pixels above", "percent", "lower"),
)
ONLY_NUMBERS = (Column("threshold", "threshold", "score"), Column("ms", "ms/frame", "milliseconds"))


@dataclass(frozen=True)
class Scored:
    """One model with its results, by world; every model has the same worlds, in one order.

    Args:
        model: its name in tables.
        results: by name of the world.
    """

    model: str
    results: Mapping[str, WorldResult]


def mean_ranks(rows: Sequence[Scored], by: str = "ap") -> np.ndarray:
    """Return each model's mean rank over the worlds, each world counted once.

    Args:
        rows: one a model.
        by: what ranks in worlds with anomalies, `ap` or `fpr95`; in ordinary ones it is
            `false_a_frame`.
    """
    places = [
        ranks([getattr(row.results[world], column.key) for row in rows], column.better or "higher")
        for world in worlds_of(rows)
        for column in [_ranked_by(rows, world, by)]
    ]
    return np.mean(places, axis=0)


def worlds_of(rows: Sequence[Scored]) -> list[str]:
    """Return the names of the worlds."""
    return list(rows[0].results)


def _columns(rows: Sequence[Scored], world: str) -> tuple[Column, ...]:
    """Return what is told of a world: nothing of objects where it has none."""
    return (*(WITH_ANOMALIES if _has_anomalies(rows, world) else ()), *AT_THRESHOLD, *ONLY_NUMBERS)


def _has_anomalies(rows: Sequence[Scored], world: str) -> bool:
    return rows[0].results[world].has_anomalies


def _ranked_by(rows: Sequence[Scored], world: str, by: str) -> Column:
    key = by if _has_anomalies(rows, world) else AT_THRESHOLD[0].key
    return next(column for column in (*WITH_ANOMALIES, *AT_THRESHOLD) if column.key == key)


def summary_table(rows: Sequence[Scored]) -> Table:
    """Return a row a model: its mean ranks, and what it is ranked by in each world."""
    told = {world: (_ranked_by(rows, world, "ap"),) for world in worlds_of(rows)}
    return _table(rows, told, named=True)


def full_table(rows: Sequence[Scored]) -> Table:
    """Return a row a model, with every number of every world."""
    return _table(rows, {world: _columns(rows, world) for world in worlds_of(rows)}, named=True)


def world_table(rows: Sequence[Scored], world: str) -> Table:
    """Return a row a model, with every number of one world."""
    return _table(rows, {world: _columns(rows, world)}, named=False)


def _table(rows: Sequence[Scored], told: Mapping[str, Sequence[Column]], *, named: bool) -> Table:
    """Return a table of some columns of some worlds; `named` puts worlds and ranks before them."""
    columns = [MODEL, MEAN_RANK, MEAN_RANK_FPR95] if named else [MODEL]
    for world, of_world in told.items():
        for one in of_world:
            key, title = (f"{world}.{one.key}", f"{world} {one.title}")
            columns.append(Column(key, title, one.kind, one.better) if named else one)
    by_ap, by_fpr95 = mean_ranks(rows, "ap"), mean_ranks(rows, "fpr95")
    lines: list[Row] = []
    for row, *places in zip(rows, by_ap, by_fpr95, strict=True):
        cells: list[Cell] = [row.model, *(map(float, places) if named else ())]
        for world, of_world in told.items():
            cells += [float(getattr(row.results[world], one.key)) for one in of_world]
        lines.append(tuple(cells))
    return Table(tuple(columns), tuple(lines), find_best(columns, lines, [""] * len(lines)))


def describe_world(result: WorldResult) -> str:
    """Say in one line what a world is."""
    if not result.has_anomalies:
        return f"{result.world}: {result.frames} ordinary frames"
    return f"{result.world}: {result.frames} frames, {result.objects} objects"


def worlds_text(rows: Sequence[Scored], notes: Sequence[str] = ()) -> str:
    """Return all tables for a terminal."""
    parts = [to_text(summary_table(rows))]
    for world in worlds_of(rows):
        about = describe_world(rows[0].results[world])
        parts.append(f"{about}\n{to_text(world_table(rows, world))}")
    parts += ["\n".join(f"note: {note}" for note in notes)] if notes else []
    return "\n\n".join(parts) + "\n"


def worlds_markdown(rows: Sequence[Scored], notes: Sequence[str] = ()) -> str:
    """Return all tables as Markdown."""
    parts = ["# Held-out worlds", to_markdown(summary_table(rows)).rstrip()]
    for world in worlds_of(rows):
        about = describe_world(rows[0].results[world])
        parts += [f"## {about}", to_markdown(world_table(rows, world)).rstrip()]
    return "\n\n".join([*parts, *notes]) + "\n"


def choices_text(choices: Sequence[Choice]) -> str:
    """Write thresholds that leave few false objects, with what each world makes of them."""
    columns = (
        Column("wanted", "wanted", "rate"),
        Column("threshold", "threshold", "score"),
        Column("world", "world", "text"),
        Column("found", "objects found"),
        Column("false_a_frame", "false/frame", "rate"),
        Column("clean", "clean frames"),
    )
    rows: list[Row] = []
    for one in choices:
        rows.append((one.wanted, one.threshold, "all ordinary", NAN, one.false_a_frame, NAN))
        rows += [
            (one.wanted, one.threshold, name, found.recall, found.false_a_frame, found.clean_share)
            for name, found in one.worlds.items()
        ]
    return to_text(Table(columns, tuple(rows))) + "\n"
