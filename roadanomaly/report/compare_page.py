"""The page of a comparison: runs side by side, one file that opens offline."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from roadanomaly.files import write_text
from roadanomaly.report.comparison import Comparison, Entry, Pair
from roadanomaly.report.page import read_record
from roadanomaly.report.page_data import (
    PICTURE_BUDGET,
    detector_data,
    heat_colours,
    pictures_of,
    to_json,
)
from roadanomaly.report.render import render
from roadanomaly.report.table import describe
from roadanomaly.report.tables.compared import (
    difference_table,
    differences_note,
    interval_table,
    notes,
    numbers_note,
    published_note,
    set_names,
    side_by_side,
)

SHOWN = 8
"""Frames of a pair that are shown: those whose AP changed most."""
SAID_ABOVE = ("set", "run", "detector", "against", "frames")


def write_comparison(path: Path, comparison: Comparison, *, with_published: bool = False) -> None:
    """Write the page.

    Args:
        path: of the page.
        comparison: what to show.
        with_published: whether the papers' numbers stand beside.

    Raises:
        UserError: the page cannot be written.
    """
    sets = set_names(comparison)
    runs = list(dict.fromkeys(entry.run for entry in comparison.entries))
    folders = {entry.run: entry.folder for entry in comparison.entries}
    hidden = "set" if len(sets) == 1 else ""
    text = render(
        "compare.html.jinja",
        title=" · ".join(runs),
        sets=list(dict.fromkeys(describe(entry.found) for entry in comparison.entries)),
        table=side_by_side(comparison, with_published=with_published).without(hidden),
        numbers=numbers_note(comparison),
        whose=differences_note(comparison),
        paper=published_note(comparison) if with_published else "",
        differences=[_difference_view(pair) for pair in comparison.pairs],
        intervals=interval_table(comparison).without(hidden),
        confidence=comparison.confidence,
        resamples=comparison.resamples,
        warnings=notes(comparison),
        records={run: read_record(folders[run]) for run in runs},
        data=to_json(comparison_data(comparison)),
    )
    write_text(path, text)


def _difference_view(pair: Pair) -> dict[str, Any]:
    """Return a pair's table and the reach of its widest interval, fractions."""
    table = difference_table([pair])
    for key in SAID_ABOVE:
        table = table.without(key)
    ends = [abs(end) for step in pair.differences.values() for end in (step.low, step.high)]
    return {
        "first": pair.first.name,
        "second": pair.second.name,
        "set": pair.first.found.title,
        "frames": len(pair.shared),
        "table": table,
        "keys": [column.key for column in table.columns],
        "reach": max([end for end in ends if not math.isnan(end)], default=0.0) or 1.0,
    }


def comparison_data(comparison: Comparison) -> dict[str, Any]:
    """Return the curves of all entries, and for each pair pictures of what changed most."""
    share = PICTURE_BUDGET // max(1, len(comparison.pairs))
    entries = list(comparison.entries)
    return {
        "heat": heat_colours(),
        "entries": [_entry(entry) for entry in entries],
        "pairs": [
            {
                "first": entries.index(pair.first),
                "second": entries.index(pair.second),
                **_pictures(pair, share),
            }
            for pair in comparison.pairs
        ],
    }


def _entry(entry: Entry) -> dict[str, Any]:
    data = detector_data(entry.found)
    about = {"name": entry.name, "set": entry.found.set, "title": entry.found.title}
    return {**data, **about}


def _pictures(pair: Pair, budget: int) -> dict[str, Any]:
    ids = most_changed(pair)[:SHOWN]
    first, second = (
        pictures_of(entry.folder, [entry.found], ids, budget // 2)
        for entry in (pair.first, pair.second)
    )
    scores = [
        drawn["scores"][entry.found.detector]
        for drawn, entry in ((first, pair.first), (second, pair.second))
    ]
    return {"images": {**second["images"], **first["images"]}, "scores": scores}


def most_changed(pair: Pair) -> list[str]:
    """Order the shared frames by how far their AP moved; those without one are left out."""
    first, second = (
        {frame.id: frame.ap for frame in entry.found.per_frame}
        for entry in (pair.first, pair.second)
    )
    steps = {name: abs(second[name] - first[name]) for name in pair.shared}
    known = [name for name, step in steps.items() if not math.isnan(step)]
    return sorted(known, key=lambda name: (-steps[name], name))
