"""How far several runs of one recipe lie apart."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from roadanomaly.evaluation.findings import Findings
from roadanomaly.report.tables.results import METRICS
from roadanomaly.report.tables.table import UNDEFINED

NUMBER = re.compile(r"(?:[-_. ]|(?<=seed)|(?<=\())\d+(?=\)?$)")
"""A seed at the end of a run's name: `flow_0`, `flow-seed0`, `0`, but not `resnet50`."""


def format_spread(findings: Sequence[Findings]) -> str:
    """Return mean and standard deviation (n - 1) over the runs of each recipe.

    A detector's name may end in its run, in brackets. Runs that learned from the same kind of data
    and whose names differ in the number at their end alone, as `flow_0` and `flow_1` or `seed0`
    and `seed1`, are of one recipe. Empty where no recipe occurs twice.
    """
    runs: dict[tuple[str, str, str], list[dict[str, float]]] = {}
    for found in findings:
        name = NUMBER.sub("", found.detector).replace(" ()", "")
        runs.setdefault((found.set, name, found.supervision), []).append(
            found.official or found.exact
        )
    lines = []
    for (data, name, _), rows in runs.items():
        if len(rows) > 1:
            cells = [f"{m.heading} {_spread([row[m.key] for row in rows])}" for m in METRICS]
            lines.append(f"{data}: {name}, {len(rows)} runs: " + "  ".join(cells))
    return "\n".join(lines)


def _spread(values: Sequence[float]) -> str:
    defined = [value for value in values if value is not None and not np.isnan(value)]
    if len(defined) < len(values):
        return UNDEFINED
    return f"{100 * np.mean(values):.2f} ± {100 * np.std(values, ddof=1):.2f}"
