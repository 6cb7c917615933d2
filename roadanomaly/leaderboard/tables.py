"""A leaderboard as tables: all rows on all sets, and the papers' order beside ours."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import spearmanr

from roadanomaly.leaderboard.compared import Compared
from roadanomaly.leaderboard.config import Board
from roadanomaly.leaderboard.results import RowResult, Trained
from roadanomaly.metrics.ranks import ranks
from roadanomaly.report.comparison import is_clear
from roadanomaly.report.tables.results import (
    LEARNED,
    METRICS,
    NAN,
    SET,
    learned_from,
    main_numbers,
    number,
)
from roadanomaly.report.tables.table import Cell, Column, Row, Spread, Table, find_best

ByRow = Mapping[str, Compared]

METHOD = Column("method", "method", "text")
FIGURES = (
    METHOD,
    Column("seeds", "seeds", "count"),
    *(one for one in METRICS if one.key != "best_f1"),
    Column("ap_low", "AP from"),
    Column("ap_high", "AP to"),
    Column("step", "AP against the reference", "points"),
    Column("step_low", "from", "points"),
    Column("step_high", "to", "points"),
    Column("verdict", "verdict", "text"),
    LEARNED,
)
EFFORT = (
    METHOD,
    Column("family", "family", "text"),
    LEARNED,
    Column("chosen", "checkpoint chosen on", "text"),
    Column("images", "images seen", "count"),
    Column("crops", "crop", "text"),
    Column("pretraining", "trained before", "text"),
    Column("trained", "trained parameters", "millions"),
    Column("ms_over", "ms over the segmenter", "milliseconds", "lower"),
    Column("time", "time, times the segmenter's", "rate", "lower"),
    Column("mb_over", "MB over the segmenter", "count", "lower"),
    Column("miou_before", "mIoU before", "percent"),
    Column("miou", "mIoU after", "percent", "higher"),
    Column("remark", "remark", "text"),
)
ALL = (SET, *FIGURES, *(one for one in EFFORT if one not in (METHOD, LEARNED)))
SHORT = (METHOD, *(one for one in METRICS if one.key != "best_f1"), LEARNED)
"""Of the table for a terminal."""
ORDER = (
    METHOD,
    Column("place", "place here", "score"),
    Column("published_place", "place published", "score"),
    Column("ap", "AP here"),
    Column("published_ap", "AP published"),
    LEARNED,
    Column("source", "source", "text"),
)


def with_ordinary(board: Board, columns: Sequence[Column]) -> tuple[Column, ...]:
    """Put a column for each ordinary set behind that of AP, which does not show false alarms."""
    place = next(at for at, column in enumerate(columns) if column.key == "ap") + 1
    counts = [
        Column(_count_key(name), f"false/frame, {one.title or name}", "rate", "lower")
        for name, one in board.ordinary.items()
    ]
    return (*columns[:place], *counts, *columns[place:])


def _count_key(set_name: str) -> str:
    """Return what the column of an ordinary set is called, as in `worlds.csv`."""
    return f"{set_name}.false_a_frame"


def counts_of(row: RowResult) -> dict[str, Cell]:
    """Return mean and deviation of a row's false components a frame, by column."""
    return {_count_key(name): Spread(seeds) for name, seeds in row.ordinary.items()}


def by_ap(rows: Sequence[RowResult], set_name: str) -> list[RowResult]:
    """Sort rows by their mean AP on a set, the best first; those without one stay in order."""
    known = [row for row in rows if not math.isnan(mean_of(row, set_name, "ap"))]
    rest = [row for row in rows if row not in known]
    return sorted(known, key=lambda row: -mean_of(row, set_name, "ap")) + rest


def mean_of(row: RowResult, set_name: str, metric: str) -> Spread:
    """Return a metric's mean and deviation over the seeds that were scored."""
    return Spread([number(main_numbers(one.found), metric) for one in row.scored[set_name]])


def learned(row: RowResult) -> str:
    """Say what a row learned from; nothing where it was never scored."""
    scored = [one for found in row.scored.values() for one in found]
    return learned_from(scored[0].found.supervision) if scored else ""


def whole_table(board: Board, rows: Sequence[RowResult], compared: Mapping[str, ByRow]) -> Table:
    """Return all rows on all sets with everything that is known of them.

    Args:
        board: the config.
        rows: in the order of the table.
        compared: by set.
    """
    columns = with_ordinary(board, ALL)
    parts = [(name, table_of(board, rows, name, compared[name], columns)) for name in board.sets]
    lines = tuple(row for _, table in parts for row in table.rows)
    groups = [name for name, table in parts for _ in table.rows]
    return Table(columns, lines, find_best(columns, lines, groups), tuple(notes_of(board, rows)))


def table_of(
    board: Board,
    rows: Sequence[RowResult],
    set_name: str,
    compared: ByRow,
    columns: tuple[Column, ...],
) -> Table:
    """Return some columns of all rows on one set."""
    lines: list[Row] = []
    for row in rows:
        values = {**_effort(row), **_figures(row, set_name, compared), **counts_of(row)}
        values["set"] = board.sets[set_name].title or set_name
        values["remark"] = _remark(row, set_name)
        lines.append(tuple(values[column.key] for column in columns))
    return Table(columns, tuple(lines), find_best(columns, lines, [""] * len(lines)))


def _figures(row: RowResult, set_name: str, compared: ByRow) -> dict[str, Cell]:
    values: dict[str, Cell] = {one.key: mean_of(row, set_name, one.key) for one in METRICS}
    values |= {"method": row.title, "seeds": float(len(row.scored[set_name])) or NAN}
    found = compared.get(row.name)
    around = found.intervals.get("ap") if found else None
    step = found.differences.get("ap") if found else None
    values |= {
        "ap_low": around.low if around else NAN,
        "ap_high": around.high if around else NAN,
        "step": step.value if step else NAN,
        "step_low": step.low if step else NAN,
        "step_high": step.high if step else NAN,
        "verdict": _verdict(step.value, clear=is_clear(step)) if step else "",
    }
    return values


def _verdict(step: float, *, clear: bool) -> str:
    if not clear:
        return "unclear"
    return "better" if step > 0 else "worse"


def _effort(row: RowResult) -> dict[str, Cell]:
    known = row.measured
    over = {key: known.get(f"scored_{key}", NAN) - known.get(f"plain_{key}", NAN) for key in UNITS}
    return {
        "family": row.family,
        "learned_from": learned(row),
        "chosen": row.chosen,
        "images": float(row.images) if any(row.scored.values()) else NAN,
        "crops": "; ".join(dict.fromkeys("{}x{}".format(*one.crop) for one in row.crops)),
        "pretraining": "; ".join(map(in_words, row.pretraining)),
        "trained": row.trained,
        "ms_over": over["ms"],
        "mb_over": over["mb"],
        "time": known.get("scored_ms", NAN) / known.get("plain_ms", NAN),
        "miou_before": row.miou_before,
        "miou": Spread(row.miou) if row.miou else NAN,
    }


def _remark(row: RowResult, set_name: str) -> str:
    """Say what a row lacks, how it differs, and why its figures on a set may be doubted."""
    said = (row.missing, row.note, *doubts_of(row, set_name))
    return ". ".join(one.rstrip(".") for one in said if one)


def doubts_of(row: RowResult, set_name: str) -> list[str]:
    """Return what the evaluations of a row on a set warn of, each once."""
    return list(dict.fromkeys(text for one in row.scored[set_name] for text in one.found.warnings))


UNITS = ("ms", "mb")


def in_words(seen: Trained) -> str:
    """Say what a network saw before a row began with it."""
    return f"{seen.title}: {seen.images} images"


def notes_of(board: Board, rows: Sequence[RowResult]) -> list[str]:
    """Return what must be known to read the table."""
    kinds = sorted({learned(row) for row in rows} - {""})
    found = []
    if len(kinds) > 1:
        found.append(
            f"These rows did not learn from the same data ({'; '.join(kinds)}); compare within one "
            "kind."
        )
    if any(len(row.scored[name]) > 1 for row in rows for name in board.sets):
        found.append("Figures of several seeds are mean ± standard deviation (n - 1).")
    found += [f"{one.title or name}: {one.note}" for name, one in board.sets.items() if one.note]
    found += _notes_of_ordinary(board)
    machines = sorted({row.machine for row in rows} - {""})
    if machines:
        found.append(f"Time and memory were measured on {'; '.join(machines)}.")
    if board.against:
        title = board.rows[board.against].title or board.against
        found.append(
            "Intervals (95 %) are over frames, their ends the mean over seeds. The reference is "
            f"{title}; differences to it are of the first seeds, by a paired bootstrap of "
            f"{board.resamples} draws."
        )
    return found


def _notes_of_ordinary(board: Board) -> list[str]:
    if not board.ordinary:
        return []
    told = (
        "False components a frame (false/frame) are counted on ordinary frames, at each run's own "
        "calibrated threshold: those of at least 500 pixels at the size of the frame. Without a "
        "threshold there is no count; a detector that judges the road alone is counted on the "
        "whole frame all the same."
    )
    notes = [(one.title or name, one.note) for name, one in board.ordinary.items() if one.note]
    return [told, *(f"{title}: {note}" for title, note in notes)]


def terminal_table(board: Board, rows: Sequence[RowResult], set_name: str) -> Table:
    """Return the figures of all rows on a set that fit a terminal."""
    columns = with_ordinary(board, SHORT)
    lines: list[Row] = []
    for row in rows:
        values: dict[str, Cell] = {one.key: mean_of(row, set_name, one.key) for one in METRICS}
        values |= {"method": row.title, "learned_from": learned(row), **counts_of(row)}
        lines.append(tuple(values[column.key] for column in columns))
    return Table(columns, tuple(lines))


@dataclass(frozen=True)
class Order:
    """The papers' order beside ours, of the rows that are in both.

    Args:
        rows: ours, the best first.
        places: of each, here.
        published: of each, among these rows in the papers.
        correlation: Spearman's, of the two orders; NaN of fewer than three rows.
    """

    rows: tuple[RowResult, ...]
    places: tuple[float, ...]
    published: tuple[float, ...]
    correlation: float


def order_of(rows: Sequence[RowResult], set_name: str) -> Order:
    """Put our order of rows on a set beside the papers' on theirs, both by AP."""
    both = [
        row
        for row in by_ap(rows, set_name)
        if row.published
        and "ap" in row.published.numbers
        and not math.isnan(mean_of(row, set_name, "ap"))
    ]
    ours = [float(mean_of(row, set_name, "ap")) for row in both]
    papers = [row.published.numbers["ap"] for row in both if row.published]
    known = len(both) > 2 and np.ptp(ours) > 0 and np.ptp(papers) > 0
    return Order(
        tuple(both),
        tuple(map(float, ranks(ours, "higher"))),
        tuple(map(float, ranks(papers, "higher"))),
        float(spearmanr(ours, papers).statistic) if known else NAN,
    )


def order_table(board: Board, order: Order, set_name: str) -> Table:
    """Return a row for each method that the papers have too."""
    columns = with_ordinary(board, ORDER)
    lines: list[Row] = []
    for row, place, before in zip(order.rows, order.places, order.published, strict=True):
        assert row.published is not None
        values: dict[str, Cell] = {
            "method": row.title,
            "place": place,
            "published_place": before,
            "ap": mean_of(row, set_name, "ap"),
            "published_ap": row.published.numbers["ap"],
            "learned_from": learned(row),
            "source": row.published.source,
        }
        values |= counts_of(row)
        lines.append(tuple(values[column.key] for column in columns))
    return Table(columns, tuple(lines), notes=(order_note(order),))


def order_note(order: Order) -> str:
    """Say what the published order is."""
    set_names = {row.published.set for row in order.rows if row.published}
    where = ", ".join(sorted(set_names)) or "the benchmark"
    told = "" if math.isnan(order.correlation) else f" Rank correlation: {order.correlation:.2f}."
    return (
        "Published figures are the papers' own, second-hand, on the hidden test frames of "
        f"{where}, each on its own network and data; here all begin with one network.{told}"
    )
