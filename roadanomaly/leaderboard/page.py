"""Write a leaderboard's page and tables from what its folder holds."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from roadanomaly.files import write_text
from roadanomaly.leaderboard.compared import compare_rows
from roadanomaly.leaderboard.config import Board
from roadanomaly.leaderboard.plan import Run
from roadanomaly.leaderboard.results import RowResult, read_rows
from roadanomaly.leaderboard.shown import Strip, strips_of
from roadanomaly.leaderboard.tables import (
    EFFORT,
    FIGURES,
    ByRow,
    Order,
    by_ap,
    doubts_of,
    in_words,
    learned,
    mean_of,
    notes_of,
    order_note,
    order_of,
    order_table,
    table_of,
    whole_table,
    with_ordinary,
)
from roadanomaly.report.page_data import to_json
from roadanomaly.report.render import render
from roadanomaly.report.table import describe
from roadanomaly.report.tables.formats import write_table
from roadanomaly.report.tables.table import Spread, Table

PAGE = "leaderboard.html"
TABLES = ("leaderboard.md", "leaderboard.tex", "leaderboard.csv")
ORDERS = ("order.md", "order.csv")
FILES = (PAGE, *TABLES, *ORDERS)
LINE = 24
"""Height of a method's line in the picture of the two orders."""


@dataclass(frozen=True)
class Ranked:
    """One line of the ranking that opens the page.

    Args:
        row: it is about.
        ap: mean and deviation.
        low: of its interval over frames, for the picture.
        high: likewise.
        learned: what it learned from.
        kind: number of that kind of data, for its colour; the same on the whole page.
        time: of segmenter and detector, times the segmenter's; NaN where not measured.
        before: what was trained before, in words.
    """

    row: RowResult
    ap: Spread
    low: float
    high: float
    learned: str
    kind: int
    time: float
    before: str


def write_board(
    board: Board, runs: Sequence[Run], step: Callable[[], object] = lambda: None
) -> list[RowResult]:
    """Write page and tables into the board's folder; return the rows, the best first.

    Args:
        board: the config.
        runs: its plan.
        step: called once a row and set, for progress.

    Raises:
        UserError: a file cannot be written, or an evaluation is broken.
    """
    out, main = Path(board.out), next(iter(board.sets))
    rows = by_ap(read_rows(board, runs), main)
    compared = {name: compare_rows(board, rows, name, step) for name in board.sets}
    whole = whole_table(board, rows, compared)
    for name in TABLES:
        write_table(out / name, whole)
    order = order_of(rows, main)
    for name in ORDERS:
        write_table(out / name, order_table(board, order, main))
    write_text(out / PAGE, page_text(board, rows, compared, order))
    return rows


def page_text(
    board: Board, rows: Sequence[RowResult], compared: Mapping[str, ByRow], order: Order
) -> str:
    """Return the page."""
    main = next(iter(board.sets))
    kinds = sorted({learned(row) for row in rows} - {""})
    ranking = [_ranked(row, main, compared[main], kinds) for row in rows]
    return render(
        "leaderboard.html.jinja",
        title=board.title,
        about=board.about,
        sets=[_set(board, rows, name, compared[name]) for name in board.sets],
        ranking=ranking,
        reach=_reach(ranking),
        main=board.sets[main].title or main,
        short=in_short(rows, main),
        kinds=kinds,
        effort=table_of(board, rows, main, compared[main], EFFORT),
        order=order_table(board, order, main),
        order_note=order_note(order),
        slopes=_slopes(order),
        line=LINE,
        missing=[(row.title, row.missing) for row in rows if row.missing],
        remarks=[(row.title, row.note) for row in rows if row.note],
        doubts=[
            (row.title, one.title or name, text)
            for name, one in board.sets.items()
            for row in rows
            for text in doubts_of(row, name)
        ],
        warnings=notes_of(board, rows),
        data=to_json({}),
    )


def in_short(rows: Sequence[RowResult], set_name: str) -> list[tuple[str, RowResult, Spread]]:
    """Return the best row, and the best of each kind of data, as words, row and AP."""
    found: dict[str, tuple[str, RowResult, Spread]] = {}
    for row in rows:
        ap = mean_of(row, set_name, "ap")
        if not math.isnan(ap):
            found.setdefault(learned(row), (learned(row), row, ap))
    return list(found.values())


def _ranked(row: RowResult, set_name: str, compared: ByRow, kinds: Sequence[str]) -> Ranked:
    ap, around = mean_of(row, set_name, "ap"), compared.get(row.name)
    interval = around.intervals.get("ap") if around else None
    known, source = row.measured, learned(row)
    return Ranked(
        row=row,
        ap=ap,
        low=interval.low if interval else math.nan,
        high=interval.high if interval else math.nan,
        learned=source,
        kind=kinds.index(source) if source in kinds else -1,
        time=known.get("scored_ms", math.nan) / known.get("plain_ms", math.nan),
        before="; ".join(map(in_words, row.pretraining)),
    )


def _reach(ranking: Sequence[Ranked]) -> float:
    """Return where the bars end: at the highest AP, or end of an interval."""
    ends = [end for one in ranking for end in (float(one.ap), one.high) if end > 0]
    return max(ends, default=1.0)


def _set(board: Board, rows: Sequence[RowResult], name: str, compared: ByRow) -> dict[str, Any]:
    ordered = by_ap(rows, name)
    ids, strips = strips_of(ordered, name, board.frames)
    scored = [row.scored[name][0].found for row in ordered if row.scored[name]]
    columns = with_ordinary(board, FIGURES)
    table: Table = table_of(board, ordered, name, compared, columns)
    given: dict[str, Any] = {"name": name, "title": board.sets[name].title or name}
    shown: list[Strip] = strips
    about = describe(scored[0]) if scored else "nothing was scored yet"
    return given | {"table": table, "ids": ids, "strips": shown, "about": about}


def _slopes(order: Order) -> list[tuple[str, float, float]]:
    """Return title, height on the papers' side and height on ours of each method, in lines."""
    papers = _lines(order.published)
    return [(row.title, papers[number], float(number)) for number, row in enumerate(order.rows)]


def _lines(places: Sequence[float]) -> list[float]:
    """Give each place a line of its own; equal ones follow each other."""
    order = sorted(range(len(places)), key=lambda number: places[number])
    return [float(order.index(number)) for number in range(len(places))]
