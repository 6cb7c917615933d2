"""What an evaluation prints: results and thresholds in percent, with what they rest on."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path

from roadanomaly.evaluation.findings import Findings, ThresholdFinding
from roadanomaly.files import write_text

COLUMNS = (
    ("ap", "AP ↑"),
    ("fpr95", "FPR95 ↓"),
    ("auroc", "AUROC ↑"),
    ("best_f1", "best F1 ↑"),
    ("siou", "sIoU ↑"),
    ("ppv", "PPV ↑"),
    ("f1", "mean F1 ↑"),
)
LEARNED = {"none": "inliers", "unknown": "unknown"}


def format_table(findings: Sequence[Findings]) -> str:
    """Return a table for each set, with its further numbers and warnings below."""
    sets = {found.set: [one for one in findings if one.set == found.set] for found in findings}
    return "\n\n".join(_of_set(members) for members in sets.values())


def _of_set(findings: Sequence[Findings]) -> str:
    first = findings[0]
    part = "" if first.frames == first.listed else f" of {first.listed}"
    mode = "official" if first.official else "exact"
    lines = [
        f"{first.title}: {first.frames}{part} frames, {first.track} track's component sizes, "
        f"{mode}, {first.averaging}",
        "",
        *_grid([_header(), *map(_row, findings)]),
    ]
    for found in findings:
        for group, values in found.extra.items():
            if group != "closed set IoU":
                cells = (f"{name} {_percent(value)}" for name, value in values.items())
                lines.append(f"{found.detector}: {group}: {'  '.join(cells)}")
    lines += [f"warning: {one.detector}: {text}" for one in findings for text in one.warnings]
    return "\n".join(lines)


def _header() -> list[str]:
    titles = [title for _, title in COLUMNS]
    return ["detector", titles[0], "AP exact ↑", *titles[1:], "ms/frame", "learned from"]


def _row(found: Findings) -> list[str]:
    numbers = found.official or found.exact
    times = [one.ms for one in found.per_frame if not math.isnan(one.ms)]
    return [
        found.detector,
        _percent(numbers["ap"]),
        _percent(found.exact.get("ap", math.nan)),
        *(_percent(numbers[key]) for key, _ in COLUMNS[1:]),
        f"{sorted(times)[len(times) // 2]:.0f}" if times else "–",
        LEARNED.get(found.supervision, f"inliers, {found.supervision}"),
    ]


def format_thresholds(findings: Sequence[Findings]) -> str:
    """Return what each way to choose a threshold gave."""
    header = ["set", "detector", "threshold by", "chosen on", "stated FPR", "measured FPR"]
    header += ["threshold", "TPR", "precision", "F1", "sIoU", "PPV", "mean F1"]
    rows = [_threshold_row(found, one) for found in findings for one in found.thresholds]
    return "\n".join(_grid([header, *rows])) if rows else ""


def _threshold_row(found: Findings, one: ThresholdFinding) -> list[str]:
    shares = (one.tpr, one.precision, one.f1, one.siou, one.ppv, one.component_f1)
    start = [found.set, found.detector, one.way, one.fitted_on]
    middle = [_percent(one.stated), _percent(one.fpr), f"{one.threshold:.4g}"]
    return [*start, *middle, *map(_percent, shares)]


def write_tables(path: Path, findings: Sequence[Findings]) -> None:
    """Write the results as CSV, fractions.

    Raises:
        UserError: the file cannot be written.
    """
    content = io.StringIO()
    writer = csv.writer(content)
    keys = [key for key, _ in COLUMNS]
    writer.writerow(["set", "detector", "supervision", *keys, "ap_exact"])
    for found in findings:
        numbers = found.official or found.exact
        row = [found.set, found.detector, found.supervision, *(numbers[key] for key in keys)]
        writer.writerow([*row, found.exact.get("ap", "")])
    write_text(path, content.getvalue())


def _grid(lines: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(line[place]) for line in lines) for place in range(len(lines[0]))]
    return [
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]


def _percent(value: float) -> str:
    return "–" if math.isnan(value) else f"{100 * value:.2f}"
