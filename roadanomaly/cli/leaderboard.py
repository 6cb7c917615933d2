"""`roadanomaly leaderboard`: many recipes, seeds and sets as one table under equal conditions."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import yaml
from jsonargparse.typing import PositiveInt

from roadanomaly.cli.config_files import check_config
from roadanomaly.cli.parsing import new_parser, parse
from roadanomaly.errors import OptionError, UserError
from roadanomaly.files import write_text
from roadanomaly.leaderboard.config import Board, read_board
from roadanomaly.leaderboard.ordinary import left_on_ordinary, missing_sets
from roadanomaly.leaderboard.page import FILES, PAGE, write_board
from roadanomaly.leaderboard.plan import Run, moved, plan_of
from roadanomaly.leaderboard.state import progress_of
from roadanomaly.leaderboard.tables import terminal_table
from roadanomaly.leaderboard.work import Worker, refuse_changed, wanted_runs
from roadanomaly.ledger import JUNK, Ledger
from roadanomaly.locks import LOCK, holding
from roadanomaly.progress import counting
from roadanomaly.report.tables.formats import to_text

EXAMPLES = """
roadanomaly leaderboard configs/leaderboard_streets.yaml
roadanomaly leaderboard configs/leaderboard_roadanomaly.yaml --plan
roadanomaly leaderboard configs/leaderboard_roadanomaly.yaml --only msp,densehybrid
roadanomaly leaderboard configs/leaderboard_roadanomaly.yaml --jobs 4
"""


def run(arguments: Sequence[str]) -> None:
    """Train, fit, evaluate, and write page and tables."""
    parser = new_parser("leaderboard", __doc__ or "", EXAMPLES)
    parser.usage = "roadanomaly leaderboard CONFIG [options]"
    add = parser.add_argument
    add("config", type=str, help="YAML file of rows and sets")
    add("--out", type=str, default="", help="folder to write into, instead of the config's")
    add("--plan", action="store_true", help="write the runs' configs, say what is done, and end")
    add("--only", type=str, default="", help="make only these rows, comma-separated")
    add("--page", action="store_true", help="make nothing: write page and tables of what is there")
    add("--retrain", action="store_true", help="delete and make again what another config made")
    add("--jobs", type=PositiveInt, default=1, help="how many runs to make and evaluate at once")
    add("--skip-costs", action="store_true", help="leave time, memory and mIoU to another call")
    add("--workers", type=PositiveInt, default=1, help="processes of an evaluation")
    given = parse(parser, arguments)
    if given.page and given.retrain:
        msg = "--page makes nothing and --retrain makes again: give one of them."
        raise OptionError(msg)
    path = Path(given.config)
    check_config(path, "leaderboard", Board)
    board = moved(read_board(path), given.out)
    runs = plan_of(board, path.parent)
    wanted = wanted_runs(board, runs, [name for name in given.only.split(",") if name])
    if not given.page:
        for why in missing_sets(board):
            sys.stderr.write(f"warning: {why}\n")
    if given.plan:
        claim_folder(Path(board.out))
        write_configs(runs)
        sys.stdout.write(plan_text(board, [one for one in runs if one.name in wanted]))
        return
    with holding(Path(board.out), ["leaderboard", *arguments]):
        claim_folder(Path(board.out))
        if not given.page:
            refuse_changed(runs, wanted, retrain=given.retrain)
            measuring = not given.skip_costs
            Worker(board, runs, given.workers, given.jobs, measuring).go(wanted)
        _write(board, runs)


def claim_folder(out: Path) -> None:
    """Refuse a folder that is neither a leaderboard's nor empty; then mark it as a leaderboard's.

    Raises:
        UserError: names a file of it, or it cannot be written.
    """
    ledger = Ledger(out)
    if out.is_dir() and PAGE not in ledger.names():
        held = sorted(path.name for path in out.iterdir() if path.name not in (LOCK, *JUNK))
        if held:
            msg = (
                f"--out {out} is no folder of a leaderboard, and holds {held[0]}; a leaderboard "
                "writes configs, runs and evaluations of its own, and would replace files of these "
                "names. Name a new folder, or an empty one."
            )
            raise UserError(msg)
    ledger.claim(FILES)


def _write(board: Board, runs: Sequence[Run]) -> None:
    """Write page and tables, and print the table that people read in a terminal."""
    total = len(board.rows) * len(board.sets)
    with counting(total, "page", "comparison") as step:
        rows = write_board(board, runs, step)
    main = next(iter(board.sets))
    told = terminal_table(board, rows, main)
    sys.stdout.write(f"{board.title}: {board.sets[main].title or main}\n\n{to_text(told)}\n\n")
    for row in rows:
        if row.missing:
            sys.stdout.write(f"{row.title}: {row.missing}\n")
    sys.stdout.write(f"written to {board.out}: {', '.join(FILES)}\n")


def write_configs(runs: Sequence[Run]) -> None:
    """Write what each run is made with.

    Raises:
        UserError: a file cannot be written.
    """
    for one in runs:
        write_text(one.file, yaml.safe_dump(one.values, sort_keys=False))


def plan_text(board: Board, runs: Sequence[Run]) -> str:
    """Say of each run how far it is, the command that makes it, and what is to be counted."""
    lines = []
    for one in runs:
        progress, told = progress_of(one)
        lines.append(f"{one.name}: {progress}{f', {told}' if told else ''}")
        lines.append(f"  roadanomaly {' '.join(one.words)}")
        lines.append(f"  -> {one.folder}")
        if one.needs:
            lines.append(f"  after {', '.join(one.needs)}")
        if left := left_on_ordinary(board, one):
            lines.append(f"  to be scored on ordinary frames: {', '.join(left)}")
    return "\n".join(lines) + "\n"
