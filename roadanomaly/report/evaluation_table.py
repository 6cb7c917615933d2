"""The one table that an evaluation prints, and its CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from roadanomaly.evaluation.evaluate import Evaluation, Row
from roadanomaly.files import write_text

COLUMNS = (
    ("ap", "AP ↑"),
    ("ap_exact", "AP exact ↑"),
    ("fpr95", "FPR95 ↓"),
    ("auroc", "AUROC ↑"),
    ("best_f1", "best F1 ↑"),
    ("siou", "sIoU ↑"),
    ("ppv", "PPV ↑"),
    ("f1", "mean F1 ↑"),
)
GAP = 0.003
LEARNED = {"none": "inliers", "unknown": "unknown"}


def format_table(evaluation: Evaluation) -> str:
    """Return the table in percent, with what its figures rest on above and below it."""
    data = evaluation.data
    title = f"{data['name']} {data.get('split', '')}".strip()
    lines = [f"{title}: {evaluation.frames} frames, {evaluation.track} track's component sizes"]
    if evaluation.rows:
        lines += ["", *_grid(evaluation.rows)]
    if evaluation.miou is not None:
        lines += ["", f"closed-set mIoU {100 * evaluation.miou:.2f} %"]
    lines += [f"warning: {text}" for text in warnings(evaluation.rows)]
    return "\n".join(lines)


def format_spread(evaluations: Sequence[Evaluation]) -> str:
    """Return mean and standard deviation (n - 1) of each detector that several runs share.

    Empty where no detector occurs twice.
    """
    runs: dict[str, list[Row]] = {}
    for evaluation in evaluations:
        for row in evaluation.rows:
            runs.setdefault(row.detector, []).append(row)
    lines = []
    for name, rows in runs.items():
        if len(rows) > 1:
            values = {title: [getattr(row, key) for row in rows] for key, title in COLUMNS}
            cells = [f"{title} {_spread(found)}" for title, found in values.items()]
            lines.append(f"{name}, {len(rows)} runs: " + "  ".join(cells))
    return "\n".join(lines)


def _spread(values: Sequence[float]) -> str:
    return f"{100 * np.mean(values):.2f} ± {100 * np.std(values, ddof=1):.2f}"


def warnings(rows: Sequence[Row]) -> list[str]:
    """Say where the official number should not be trusted."""
    return [
        f"{row.detector}: the official AP differs from the exact one by "
        f"{100 * (row.ap - row.ap_exact):+.2f} points; the benchmark's binning is coarse here."
        for row in rows
        if abs(row.ap - row.ap_exact) > GAP
    ]


def _grid(rows: Sequence[Row]) -> list[str]:
    header = ["detector", *(title for _, title in COLUMNS), "ms/frame", "learned from"]
    body = [
        [
            row.detector,
            *(_percent(getattr(row, key)) for key, _ in COLUMNS),
            "–" if math.isnan(row.ms) else f"{row.ms:.0f}",
            LEARNED.get(row.supervision, f"inliers, {row.supervision}"),
        ]
        for row in rows
    ]
    widths = [max(len(line[i]) for line in [header, *body]) for i in range(len(header))]
    lines = [[_cell(i, text, widths) for i, text in enumerate(line)] for line in [header, *body]]
    return ["  ".join(cells).rstrip() for cells in lines]


def _cell(place: int, text: str, widths: Sequence[int]) -> str:
    left = place == 0 or place == len(widths) - 1
    return text.ljust(widths[place]) if left else text.rjust(widths[place])


def _percent(value: float) -> str:
    return "–" if math.isnan(value) else f"{100 * value:.2f}"


def write_results(folder: Path, evaluation: Evaluation) -> None:
    """Write `results.json` and `results.csv`, fractions, whole or not at all.

    Raises:
        UserError: the folder cannot be written.
    """
    text = json.dumps(_without_nan(evaluation.as_dict()), indent=1) + "\n"
    table = io.StringIO()
    writer = csv.writer(table)
    keys = ["detector", "supervision", *(key for key, _ in COLUMNS), "ms"]
    writer.writerow(keys)
    writer.writerows([getattr(row, key) for key in keys] for row in evaluation.rows)
    write_text(folder / "results.json", text)
    write_text(folder / "results.csv", table.getvalue())


def _without_nan(value: object) -> object:
    """Replace NaN, which JSON lacks, by None."""
    if isinstance(value, dict):
        return {key: _without_nan(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(one) for one in value]
    return None if isinstance(value, float) and math.isnan(value) else value
