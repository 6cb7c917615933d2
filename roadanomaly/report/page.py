"""The page of an evaluation, `report.html`: one file that opens offline."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from roadanomaly.evaluation.findings import Findings, load_findings
from roadanomaly.files import write_text
from roadanomaly.report.page_data import report_data, to_json
from roadanomaly.report.render import render
from roadanomaly.report.table import by_set, describe, write_tables
from roadanomaly.report.tables.precision import precision_table, precision_title
from roadanomaly.report.tables.results import (
    extra_tables,
    main_mode,
    mixed_supervision,
    partly_scored,
    results_table,
    threshold_table,
    time_table,
)

NAME = "report.html"
RECORD = "record.json"


def write_pages(folder: Path, findings: Sequence[Findings], title: str) -> None:
    """Write table and page of an evaluation into its folder, `results.csv` and `report.html`.

    Args:
        folder: that holds the findings, record and small pictures.
        findings: of that folder, in the order of the table.
        title: of the page.

    Raises:
        UserError: a file cannot be written.
    """
    write_tables(folder / "results.csv", findings)
    write_text(folder / NAME, report_text(folder, load_findings(folder), title))


def write_report(folder: Path) -> Path:
    """Write the page of an evaluation's folder from its findings, record and small pictures.

    Args:
        folder: what `roadanomaly evaluate --out` wrote.

    Returns:
        The page's path.

    Raises:
        DataError: the folder holds no findings, or broken ones.
        UserError: the page cannot be written.
    """
    path = folder / NAME
    write_text(path, report_text(folder, load_findings(folder)))
    return path


def report_text(folder: Path, findings: Sequence[Findings], title: str = "") -> str:
    """Return the page as text; its title is the folder's name where none is given."""
    sets = by_set(findings)
    hidden = "set" if len(sets) == 1 else ""
    mode = main_mode(findings)
    exact = results_table(findings, "exact").without(hidden)
    extras = extra_tables(findings)
    if (effect := precision_table(findings)).rows:
        extras[precision_title(findings)] = effect
    return render(
        "report.html.jinja",
        title=title or folder.resolve().name,
        sets=[describe(members[0]) for members in sets.values()],
        results=results_table(findings).without(hidden),
        mode=mode,
        exact=exact if mode == "official" and any(found.exact for found in findings) else None,
        extras={name: table.without(hidden) for name, table in extras.items()},
        thresholds=threshold_table(findings).without(hidden),
        times=time_table(findings).without(hidden),
        warnings=warnings_of(findings),
        record=read_record(folder),
        data=to_json(report_data(folder, findings)),
    )


def warnings_of(findings: Sequence[Findings]) -> list[str]:
    """Return every reason to doubt a number, with the detector and set that it is about."""
    about = [
        f"{found.detector} on {found.set}: {text}" for found in findings for text in found.warnings
    ]
    return partly_scored(findings) + about + mixed_supervision(findings)


def read_record(folder: Path) -> dict[str, Any]:
    """Return the run's record, empty where there is none or it is broken."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}
