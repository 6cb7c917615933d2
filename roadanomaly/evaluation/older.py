"""Evaluations written before folders listed their files, known by what they hold."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from roadanomaly.errors import DataError
from roadanomaly.evaluation.findings import FOLDER, Findings, read_findings
from roadanomaly.files import file_name
from roadanomaly.ledger import LEDGER

FILES = ("record.json", "metrics.json", "results.csv", "report.html")
_MOVED = (FOLDER, f".partial/new/{FOLDER}", f".partial/old-{FOLDER}")
"""Where findings may lie; the last two after a kill of a version that moved folder by folder."""


def files_of(folder: Path) -> set[str]:
    """Return the files that the evaluation in a folder consists of, by the rules of their names.

    Empty where the folder lists its files itself, or holds no findings that can be read.
    """
    if (folder / LEDGER).exists():
        return set()
    names: set[str] = set()
    for place in _MOVED:
        for path in (folder / place).glob("*/*.json"):
            try:
                found = read_findings(path)
            except DataError:
                continue
            names |= {*FILES, *_of_findings(found)}
    return names


def _of_findings(found: Findings) -> Iterator[str]:
    detector, base = file_name(found.detector), f"frames/{file_name(found.set)}"
    for suffix in (".json", ".npz"):
        yield f"{FOLDER}/{found.set}/{quote(found.detector, safe='')}{suffix}"
    for frame in found.per_frame:
        name = file_name(frame.id)
        yield f"{base}/image/{name}.jpg"
        yield f"{base}/truth/{name}.png"
        yield f"{base}/score/{detector}/{name}.jpg"
        yield f"{base}/score/{detector}/{name}.json"
        yield f"{base}/explained/{detector}/{name}.jpg"
        yield f"pictures/{frame.id}.png"
        yield f"pictures/{frame.id}_{found.detector}.png"
