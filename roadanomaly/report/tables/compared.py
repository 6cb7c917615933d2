"""The tables of a comparison: runs side by side with published numbers, and their differences."""

from __future__ import annotations

from collections.abc import Sequence

from roadanomaly.evaluation.findings import Findings
from roadanomaly.metrics.bootstrap import Difference
from roadanomaly.report.comparison import Comparison, Entry, Pair, is_clear
from roadanomaly.report.published import PublishedRow, published
from roadanomaly.report.tables.results import (
    DETECTOR,
    EXACT_AP,
    LEARNED,
    METRICS,
    NAN,
    SET,
    TIME,
    learned_from,
    main_mode,
    main_numbers,
    median_ms,
    number,
    supervision_notes,
)
from roadanomaly.report.tables.table import Cell, Column, Row, Table, find_best

RUN = Column("run", "run", "text")
SCORED_ON = Column("scored_on", "scored on", "text")
ORIGIN = Column("source", "source", "text")
SIDE_BY_SIDE = (
    SET,
    RUN,
    DETECTOR,
    METRICS[0],
    EXACT_AP,
    *METRICS[1:],
    TIME,
    LEARNED,
    SCORED_ON,
    ORIGIN,
)
DIFFERENCES = (
    SET,
    RUN,
    DETECTOR,
    Column("against", "against", "text"),
    Column("metric", "metric", "text"),
    Column("reference", "reference"),
    Column("value", "value"),
    Column("difference", "difference", "points"),
    Column("low", "from", "points"),
    Column("high", "to", "points"),
    Column("p", "p", "probability"),
    Column("verdict", "verdict", "text"),
    Column("frames", "frames", "count"),
)
INTERVALS = (
    SET,
    RUN,
    DETECTOR,
    Column("metric", "metric", "text"),
    Column("value", "value"),
    Column("low", "from"),
    Column("high", "to"),
)
PAPER = "published"


def side_by_side(comparison: Comparison, *, with_published: bool = False) -> Table:
    """Return a row for each entry; below each set, where asked, the published ones."""
    rows: list[Row] = []
    groups: list[str] = []
    quiet: set[int] = set()
    for set_name in set_names(comparison):
        for entry in comparison.entries:
            if entry.found.set == set_name:
                rows.append(_own(entry))
                groups.append(set_name)
        for row in published(set_name) if with_published else ():
            quiet.add(len(rows))
            rows.append(_paper(row))
            groups.append(f"{PAPER} {len(rows)}")
    best = find_best(SIDE_BY_SIDE, rows, groups)
    return Table(SIDE_BY_SIDE, tuple(rows), best, tuple(notes(comparison)), frozenset(quiet))


def set_names(comparison: Comparison) -> list[str]:
    """Return the sets in order."""
    return list(dict.fromkeys(entry.found.set for entry in comparison.entries))


def _own(entry: Entry) -> Row:
    found = entry.found
    values: dict[str, Cell] = {m.key: number(main_numbers(found), m.key) for m in METRICS}
    values |= {
        "set": found.set,
        "run": entry.run,
        "detector": found.detector,
        "ap_exact": number(found.exact, "ap"),
        "ms": median_ms(found),
        "learned_from": learned_from(found.supervision),
        "scored_on": _frames(found),
        "source": "this run",
    }
    return tuple(values[column.key] for column in SIDE_BY_SIDE)


def _frames(found: Findings) -> str:
    part = "" if found.frames == found.listed else f" of {found.listed}"
    return f"{found.frames}{part} frames"


def _paper(row: PublishedRow) -> Row:
    values: dict[str, Cell] = {m.key: row.numbers.get(m.key, NAN) for m in METRICS}
    values |= {
        "set": row.set,
        "run": PAPER,
        "detector": row.method,
        "ap_exact": NAN,
        "ms": NAN,
        "learned_from": row.learned_from,
        "scored_on": row.scored_on,
        "source": row.source,
    }
    return tuple(values[column.key] for column in SIDE_BY_SIDE)


def notes(comparison: Comparison) -> list[str]:
    """Return why rows may not be comparable."""
    rows = [(entry.name, entry.found.supervision) for entry in comparison.entries]
    found = [note for pair in comparison.pairs for note in pair.notes]
    return found + supervision_notes(rows)


def numbers_note(comparison: Comparison) -> str:
    """Say whose numbers stand side by side."""
    by_mode: dict[str, list[str]] = {}
    for entry in comparison.entries:
        by_mode.setdefault(main_mode([entry.found]), []).append(entry.name)
    if len(by_mode) > 1:
        parts = "; ".join(f"{mode}: {', '.join(names)}" for mode, names in by_mode.items())
        return f"In percent, of two kinds that do not compare ({parts})."
    if "exact" in by_mode:
        return "By a full sort of all pixels, in percent; there are no official numbers."
    return "As the benchmark computes them, in percent; AP also by a full sort of all pixels."


def differences_note(comparison: Comparison) -> str:
    """Say whose numbers the differences are of."""
    exact = any(main_mode([entry.found]) == "exact" for entry in comparison.entries)
    also = ", also where those side by side are exact" if exact else ""
    return f"Pixel metrics are official here (the benchmark's bins){also}."


def published_note(comparison: Comparison) -> str:
    """Say what the published rows are, and for which sets there are none."""
    missing = [name for name in set_names(comparison) if not published(name)]
    text = (
        "Published rows are the papers' own numbers, second-hand (see source), on the split that "
        "`scored on` names; numbers of a hidden test set cannot be compared with public frames."
    )
    return text + (f" None is known for {', '.join(missing)}." if missing else "")


def difference_table(pairs: Sequence[Pair]) -> Table:
    """Return a row for each pair and metric: second minus first with its interval."""
    rows = tuple(
        row
        for pair in pairs
        for metric in METRICS
        if metric.key in pair.differences
        for row in [_difference(pair, metric, pair.differences[metric.key])]
    )
    return Table(DIFFERENCES, rows)


def _difference(pair: Pair, metric: Column, step: Difference) -> Row:
    return (
        pair.second.found.set,
        pair.second.run,
        pair.second.found.detector,
        pair.first.name,
        metric.title,
        pair.before[metric.key],
        pair.after[metric.key],
        step.value,
        step.low,
        step.high,
        step.p,
        verdict(metric, step),
        float(len(pair.shared)),
    )


def verdict(metric: Column, step: Difference) -> str:
    """Say `better` or `worse` where the interval leaves out zero, and `unclear` where not."""
    if not is_clear(step):
        return "unclear"
    return "better" if (step.value > 0) == (metric.better == "higher") else "worse"


def interval_table(comparison: Comparison) -> Table:
    """Return a row for each entry and metric: the number with its interval."""
    rows = tuple(
        (
            entry.found.set,
            entry.run,
            entry.found.detector,
            metric.title,
            found[metric.key].value,
            found[metric.key].low,
            found[metric.key].high,
        )
        for entry, found in zip(comparison.entries, comparison.intervals, strict=True)
        for metric in METRICS
    )
    return Table(INTERVALS, rows)
