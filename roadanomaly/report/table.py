"""What an evaluation prints: results and thresholds in percent, with what they rest on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from roadanomaly.evaluation.findings import Findings
from roadanomaly.report.tables.formats import to_text, write_table
from roadanomaly.report.tables.precision import precision_table, precision_title
from roadanomaly.report.tables.results import (
    extra_tables,
    main_mode,
    mixed_supervision,
    partly_scored,
    results_table,
    threshold_table,
)
from roadanomaly.report.tables.table import Table


def format_table(findings: Sequence[Findings]) -> str:
    """Return a table for each set, with its warnings below."""
    return "\n\n".join(_of_set(members) for members in by_set(findings).values())


def format_thresholds(findings: Sequence[Findings]) -> str:
    """Return what each way to choose a threshold gives, set by set; empty where none is known."""
    parts = [
        f"thresholds on {members[0].title}\n\n{to_text(_narrow(members))}"
        for members in by_set(findings).values()
        if any(found.thresholds for found in members)
    ]
    return "\n\n".join(parts)


def _narrow(findings: Sequence[Findings]) -> Table:
    """Leave out of a set's thresholds what a terminal has no room for; the page shows all."""
    table = threshold_table(findings)
    for key in ("set", "siou", "ppv"):
        table = table.without(key)
    return table


WIDE = 8
"""Further numbers that a terminal shows in one table; longer ones stand in the page."""


def write_tables(path: Path, findings: Sequence[Findings]) -> None:
    """Write the results into one file: Markdown, LaTeX, CSV or text, by its ending.

    Raises:
        OptionError: the ending stands for no format.
        UserError: the file cannot be written.
    """
    write_table(path, results_table(findings))


def by_set(findings: Sequence[Findings]) -> dict[str, list[Findings]]:
    """Group findings by their set, in the order of their first occurrence."""
    sets: dict[str, list[Findings]] = {}
    for found in findings:
        sets.setdefault(found.set, []).append(found)
    return sets


def describe(found: Findings) -> str:
    """Say in one line what was scored, and how.

    A part of a split is called a part, since its numbers cannot be compared with published ones.
    """
    part = "" if found.frames == found.listed else f" of {found.listed}"
    changed = _changes(found.data)
    changed += "" if found.precision == "f32" else f"computed in {found.precision}, "
    return (
        f"{found.title}: {found.frames}{part} frames, {changed}{found.track} track's "
        f"component sizes, {main_mode([found])}, {found.averaging}"
    )


def _changes(data: dict[str, Any]) -> str:
    """Say what was done to a set before it was scored, each with a comma behind."""
    words = []
    if "size" in data:
        words.append(f"resized to {data['size'][1]}×{data['size'][0]}, ")
    if "negatives" in data:
        made = data["negatives"]
        parts = [made["name"], made.get("root"), made.get("part")]
        words.append(f"with negatives ({' '.join(str(one) for one in parts if one)}), ")
    if data.get("region") == "road":
        words.append("road region, ")
    return "".join(words)


def _of_set(findings: Sequence[Findings]) -> str:
    results = results_table(findings).without("set").without("frames")
    lines = [describe(findings[0]), "", to_text(results)]
    for group, table in extra_tables(findings).items():
        if len(table.columns) <= WIDE:
            lines += ["", f"{group}:", to_text(table.without("set"))]
    if (effect := precision_table(findings)).rows:
        lines += ["", f"{precision_title(findings)}:", to_text(effect.without("set"))]
    texts = [f"{found.detector}: {text}" for found in findings for text in found.warnings]
    texts += partly_scored(findings) + mixed_supervision(findings)
    if texts:
        lines += ["", *(f"warning: {text}" for text in texts)]
    return "\n".join(lines)
