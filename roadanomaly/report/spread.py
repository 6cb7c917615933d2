"""How far several runs of one recipe lie apart."""

from __future__ import annotations

import re
from collections.abc import Sequence

from roadanomaly.evaluation.findings import Findings
from roadanomaly.report.tables.results import METRICS, number
from roadanomaly.report.tables.table import Spread, show

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
            spreads = [(m, Spread([number(row, m.key) for row in rows])) for m in METRICS]
            cells = [f"{metric.heading} {show(spread, metric)}" for metric, spread in spreads]
            lines.append(f"{data}: {name}, {len(rows)} runs: " + "  ".join(cells))
    return "\n".join(lines)
