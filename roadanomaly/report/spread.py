"""How far several runs of one detector lie apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from roadanomaly.evaluation.findings import Findings
from roadanomaly.report.tables.results import METRICS


def format_spread(findings: Sequence[Findings]) -> str:
    """Return mean and standard deviation (n - 1) of each detector that several runs share.

    A detector's name may end in its run, in brackets. Empty where no detector occurs twice.
    """
    runs: dict[tuple[str, str], list[dict[str, float]]] = {}
    for found in findings:
        name = found.detector.partition(" (")[0]
        runs.setdefault((found.set, name), []).append(found.official or found.exact)
    lines = []
    for (data, name), rows in runs.items():
        if len(rows) > 1:
            cells = [f"{m.heading} {_spread([row[m.key] for row in rows])}" for m in METRICS]
            lines.append(f"{data}: {name}, {len(rows)} runs: " + "  ".join(cells))
    return "\n".join(lines)


def _spread(values: Sequence[float]) -> str:
    return f"{100 * np.mean(values):.2f} ± {100 * np.std(values, ddof=1):.2f}"
