"""A worker that dies before it has joined ends the evaluation at once, with a sentence."""

from __future__ import annotations

import subprocess
import sys

import pytest

from roadanomaly.cli import main
from roadanomaly.errors import UserError
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


@pytest.mark.slow
@pytest.mark.parametrize("ends", ["raise SystemExit(1)", "import os; os.kill(os.getpid(), 9)"])
def test_a_worker_that_dies_before_it_joins_is_noticed(ends):
    process = Begun(evaluate_with_workers, ends)
    out, err = process.communicate(60)
    assert (process.returncode, out) == (2, "")
    assert err.startswith("roadanomaly evaluate: a process of this evaluation has stopped")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("WORLD_SIZE", "many", "WORLD_SIZE is 'many'"),
        ("RANK", "sergeant", "RANK is 'sergeant'"),
        ("LOCAL_RANK", "first", "LOCAL_RANK is 'first'"),
        ("MASTER_ADDR", "", "MASTER_ADDR, where they meet, is missing"),
        ("MASTER_PORT", "", "MASTER_PORT is missing"),
    ],
)
def test_what_torchrun_did_not_set_is_told(monkeypatch, name, value, says):
    whole = {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}
    for variable, held in {**whole, name: value}.items():
        monkeypatch.setenv(variable, held)
    with pytest.raises(UserError, match=says), team.gathered_team(1, ["evaluate"]):
        raise AssertionError


def test_a_task_of_a_cluster_is_a_team_of_its_own(monkeypatch):
    monkeypatch.setenv("SLURM_PROCID", "1")
    monkeypatch.setenv("NODE_RANK", "1")
    with team.gathered_team(1, ["evaluate"]) as alone:
        assert alone.leads
        assert alone.size == 1
