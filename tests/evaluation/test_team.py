"""A worker that dies before it has joined ends the evaluation at once, with a sentence."""

from __future__ import annotations

import subprocess
import sys

import pytest

from roadanomaly.cli import main
from roadanomaly.evaluation import team
from tests.processes import Begun


def evaluate_with_workers(ends):
    """Gather a team of three; of the two workers, one ends so and the other never joins."""

    def start(rank, size, address, command):
        code = ends if rank == 1 else "import time; time.sleep(600)"
        return subprocess.Popen([sys.executable, "-c", code])

    def work(name, rest):
        with team.gathered_team(3, ["evaluate"]):
            raise AssertionError

    team._start, main._run = start, work
    return main.main(["evaluate"])


@pytest.mark.parametrize("ends", ["raise SystemExit(1)", "import os; os.kill(os.getpid(), 9)"])
def test_a_worker_that_dies_before_it_joins_is_noticed(ends):
    process = Begun(evaluate_with_workers, ends)
    out, err = process.communicate(60)
    assert (process.returncode, out) == (2, "")
    assert err.startswith("roadanomaly evaluate: a process of this evaluation has stopped")
    assert err.count("\n") == 1
