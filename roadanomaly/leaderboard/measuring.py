"""What is measured of a run beside its scores, and whether what was measured still holds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from roadanomaly.leaderboard.config import Board
from roadanomaly.leaderboard.places import bare_file, key_of, measured_file, read_values
from roadanomaly.leaderboard.plan import Run, reference_folder


def costs(board: Board, run: Run) -> bool:
    """Tell whether time and memory of a run are measured: those of a row's first seed."""
    row = board.rows.get(run.member)
    return row is not None and run.seed == row.seeds[0]


def measured_key(board: Board, run: Run) -> str:
    """Return what tells a run's measurement from one of another model, or of other questions."""
    asked = _asked(board, with_cost=costs(board, run))
    return key_of(run, [asked, read_values(bare_file(board))])


def bare_key(board: Board, runs: Sequence[Run]) -> str:
    """Return the same of the segmenter alone."""
    folder = reference_folder(board)
    network: Any = folder or board.segmenter
    asked = {"network": network, "asked": _asked(board, with_cost=False)}
    begins = segmenter_run(board, runs)
    return key_of(begins, asked) if begins else json.dumps(asked)


def segmenter_run(board: Board, runs: Sequence[Run]) -> Run | None:
    """Return the run that makes the board's segmenter; None where it is described."""
    folder = reference_folder(board)
    return next((run for run in runs if folder and str(run.folder) == folder), None)


def measured_of(board: Board, run: Run) -> dict[str, Any]:
    """Return what was measured of a run, if it still holds; else nothing."""
    held = read_values(measured_file(board, run))
    try:
        return held if held.get("key") == measured_key(board, run) else {}
    except (OSError, ValueError):
        return {}


def measured_bare(board: Board, runs: Sequence[Run]) -> dict[str, Any]:
    """Return what was measured of the segmenter alone, if it still holds; else nothing."""
    held = read_values(bare_file(board))
    try:
        return held if held.get("key") == bare_key(board, runs) else {}
    except (OSError, ValueError):
        return {}


def measure_words(board: Board, *, with_cost: bool) -> list[str]:
    """Return what `leaderboard.measure` is asked, beside model and files."""
    words = []
    if board.closed_set:
        words += ["--closed", json.dumps(asdict(board.closed_set))]
    if board.cost and with_cost:
        words += ["--size", *map(str, board.cost.size), "--repeats", str(board.cost.repeats)]
    return words


def _asked(board: Board, *, with_cost: bool) -> dict[str, Any]:
    asked: dict[str, Any] = {"closed": board.closed_set and asdict(board.closed_set)}
    return asked | ({"cost": board.cost and asdict(board.cost)} if with_cost else {})
