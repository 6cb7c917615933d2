"""`roadanomaly leaderboard`: many recipes, seeds and sets as one table under equal conditions."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import yaml

from roadanomaly.cli.parsing import new_parser, parse
from roadanomaly.files import write_text
from roadanomaly.leaderboard.config import read_board
from roadanomaly.leaderboard.plan import Run, moved, plan_of
from roadanomaly.leaderboard.state import progress_of

EXAMPLES = """
roadanomaly leaderboard configs/leaderboard_streets.yaml
roadanomaly leaderboard configs/leaderboard_roadanomaly.yaml --plan
roadanomaly leaderboard configs/leaderboard_roadanomaly.yaml --only msp,densehybrid
"""


def run(arguments: Sequence[str]) -> None:
    """Train, fit, evaluate, and write page and tables."""
    parser = new_parser("leaderboard", __doc__ or "", EXAMPLES)
    parser.usage = "roadanomaly leaderboard CONFIG [options]"
    add = parser.add_argument
    add("config", type=str, help="YAML file of rows and sets")
    add("--out", type=str, default="", help="folder to write into, instead of the config's")
    add("--plan", action="store_true", help="write the runs' configs, say what is done, and end")
    given = parse(parser, arguments)
    path = Path(given.config)
    board = moved(read_board(path), given.out)
    runs = plan_of(board, path.parent)
    if given.plan:
        write_configs(runs)
        sys.stdout.write(plan_text(runs))


def write_configs(runs: Sequence[Run]) -> None:
    """Write what each run is made with.

    Raises:
        UserError: a file cannot be written.
    """
    for one in runs:
        write_text(one.file, yaml.safe_dump(one.values, sort_keys=False))


def plan_text(runs: Sequence[Run]) -> str:
    """Say of each run how far it is, and the command that makes it."""
    lines = []
    for one in runs:
        progress, told = progress_of(one)
        lines.append(f"{one.name}: {progress}{f', {told}' if told else ''}")
        lines.append(f"  roadanomaly {' '.join(one.words)}")
        lines.append(f"  -> {one.folder}")
        if one.needs:
            lines.append(f"  after {', '.join(one.needs)}")
    return "\n".join(lines) + "\n"
