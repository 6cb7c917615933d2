"""Figures of rows whose trainings go on with those of other rows."""

from pathlib import Path

import pytest

from roadanomaly.leaderboard.plan import plan_of
from roadanomaly.leaderboard.results import read_rows
from tests.leaderboard.made import make_board, make_run, runs_of

ENTROPY = {"detector": {"name": "entropy"}}
ROWS = {
    "alone": ENTROPY,
    "onwards": {"start": "@alone", "detector": None},
    "scored": {"start": "@alone", **ENTROPY, "lr": 0.0, "head_lr": 0.0},
    "head": {"start": "@alone", "detector": {"name": "obsnet"}, "lr": 0.0},
    "frozen": {"start": "@alone", "detector": {"name": "obsnet"}, "head_lr": 0.0},
    "others": {"start": "@alone", "detector": {"name": "fanogan"}, "lr": 0.0, "head_lr": 0.0},
}
TIMES = {"alone": 1, "onwards": 1, "scored": 1, "head": 2, "frozen": 1, "others": 2}
"""How many trainings of each row move parameters of their own, of 1.5 million each.

The network that obsnet and f-AnoGAN look at is frozen, and f-AnoGAN has rates of its own.
"""


def test_parameters_that_several_trainings_move_are_counted_once(tmp_path):
    rows = {name: {"options": options} for name, options in ROWS.items()}
    board = make_board(tmp_path, rows=rows, against="")
    for run in runs_of(board).values():
        make_run(run)
    trained = {row.name: row.trained for row in read_rows(board, plan_of(board, Path()))}
    assert trained == pytest.approx({name: 1.5e6 * count for name, count in TIMES.items()})
