"""An output folder has one holder; a killed one stands in nobody's way."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from roadanomaly.errors import UserError
from roadanomaly.locks import LOCK, RANKS, holding

ROOT = Path(__file__).parents[2]
HOLD = """
import sys
from pathlib import Path
from roadanomaly.locks import holding
with holding(Path(sys.argv[1]), ["evaluate", "runs/a b"]):
    print("held", flush=True)
    sys.stdin.readline()
"""
RACE = """
import contextlib
import sys
from pathlib import Path
from roadanomaly.errors import UserError
from roadanomaly.locks import holding
sys.stdin.readline()
for _ in range(50):
    with contextlib.suppress(UserError), holding(Path(sys.argv[1]), ["race"]):
        alone = Path(sys.argv[1]) / "alone"
        alone.touch(exist_ok=False)
        alone.unlink()
"""


def start(program, folder):
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program), str(folder)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_second_process_is_told_who_holds_it_and_a_killed_one_is_taken_over(tmp_path):
    holder = start(HOLD, tmp_path / "out")
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(UserError) as refused, holding(tmp_path / "out", ["evaluate"]):
        pytest.fail("held twice")
    for part in (f"process {holder.pid} on ", "since 20", "`roadanomaly evaluate 'runs/a b'`"):
        assert part in str(refused.value)
    holder.kill()
    holder.communicate()
    assert (tmp_path / "out" / LOCK).exists()
    with holding(tmp_path / "out", ["evaluate"]) as leads:
        assert leads
    assert not (tmp_path / "out" / LOCK).exists()


@pytest.mark.slow
def test_of_several_that_start_at_the_same_time_one_is_in_at_a_time(tmp_path):
    (tmp_path / "out").mkdir()
    racers = [start(RACE, tmp_path / "out") for _ in range(3)]
    for racer in racers:
        racer.stdin.write("\n")
        racer.stdin.flush()
    for racer in racers:
        _, err = racer.communicate(timeout=100)
        assert racer.returncode == 0, err
    assert not list((tmp_path / "out").iterdir())


def test_a_folder_that_stays_empty_is_removed_and_one_with_results_is_kept(tmp_path):
    with holding(tmp_path / "deep" / "out", ["x"]) as leads:
        assert leads
    assert not (tmp_path / "deep" / "out").exists()
    with holding(tmp_path / "out", ["x"]):
        (tmp_path / "out" / "result").touch()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["result"]


def held(folder, words, monkeypatch, variables):
    """Whether a command holds its folder where a cluster has set these variables."""
    for name in ("RANK", "WORLD_SIZE", *RANKS):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with holding(folder, words) as leads:
        assert (folder / LOCK).exists() == leads
    return leads


TORCHRUN = {"RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "2"}


@pytest.mark.parametrize(
    ("word", "variables"),
    [
        ("evaluate", TORCHRUN),
        ("train", TORCHRUN),
        ("train", {"LOCAL_RANK": "1", "NODE_RANK": "0", "WORLD_SIZE": "2"}),  # as Fabric starts it
        ("adapt", {"SLURM_PROCID": "1"}),
        ("flow", {"NODE_RANK": "1"}),
    ],
)
def test_further_processes_of_a_job_hold_nothing(tmp_path, monkeypatch, word, variables):
    assert not held(tmp_path / "out", [word], monkeypatch, variables)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("word", "variables"),
    [
        ("evaluate", {"SLURM_PROCID": "1", "NODE_RANK": "1", "LOCAL_RANK": "1"}),
        ("evaluate", {"RANK": "1", "WORLD_SIZE": "1"}),
        ("evaluate", {"RANK": "sergeant"}),
        ("evaluate", {**TORCHRUN, "RANK": "0"}),
        ("predict", {"SLURM_PROCID": "1"}),
        ("predict", TORCHRUN),
        ("train", {"RANK": "1"}),
        ("train", {"SLURM_PROCID": "0", "NODE_RANK": ""}),
    ],
)
def test_a_process_that_runs_alone_holds_its_folder(tmp_path, monkeypatch, word, variables):
    assert held(tmp_path / "out", [word], monkeypatch, variables)


@pytest.mark.parametrize(
    ("word", "variables", "says"),
    [
        ("evaluate", {"WORLD_SIZE": "many"}, "WORLD_SIZE is 'many'; .* whole number"),
        ("evaluate", {"WORLD_SIZE": "2"}, "RANK is missing .* Unset WORLD_SIZE"),
        (
            "evaluate",
            {"WORLD_SIZE": "2", "RANK": "sergeant"},
            "'sergeant'; .* Unset RANK and WORLD_SIZE",
        ),
        ("evaluate", {"WORLD_SIZE": "2", "RANK": "2"}, "RANK is 2 and WORLD_SIZE 2"),
        ("train", {"SLURM_PROCID": "-1"}, "SLURM_PROCID is '-1'"),
    ],
)
def test_a_rank_that_is_no_number_is_told(tmp_path, monkeypatch, word, variables, says):
    with pytest.raises(UserError, match=says):
        held(tmp_path / "out", [word], monkeypatch, variables)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["file/out", "x" * 300])
def test_what_cannot_be_a_folder_is_said(tmp_path, name):
    (tmp_path / "file").write_text("x")
    with (
        pytest.raises(UserError, match="the folder cannot be written"),
        holding(tmp_path / name, ["x"]),
    ):
        pytest.fail("held what is no folder")
