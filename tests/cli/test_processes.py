"""Several processes, and one that was killed, give to the last bit what one process gives."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from roadanomaly.cli.main import main
from tests import processes

ROOT = Path(__file__).parents[2]
SET = ("--on", "streets", "--data.split", "test", "--data.height", "64", "--data.width", "96")
OPTIONS = (*SET, "--data.count", "6", "--detectors", "msp", "--pictures", "2")


def results(out):
    findings = sorted((out / "findings").rglob("*.npz"))
    return (out / "metrics.json").read_bytes(), [path.name for path in findings]


@pytest.fixture(scope="module")
def alone(model_folder, tmp_path_factory):
    """The folder of an evaluation by one process; tests only read it."""
    out = tmp_path_factory.mktemp("alone")
    assert main(["evaluate", str(model_folder), *OPTIONS, "--out", str(out)]) == 0
    return out


def without_times(out):
    """The numbers of every detector, and the frames' without the time that they took."""
    from roadanomaly.evaluation.findings import load_findings

    return [
        (one.official, one.exact, [(f.id, f.ap, f.f1, f.curve.tp.tolist()) for f in one.per_frame])
        for one in load_findings(out)
    ]


@pytest.mark.slow
def test_two_workers_give_the_bits_of_one_process(alone, command, model_folder, tmp_path):
    words = ("evaluate", model_folder, *OPTIONS, "--workers", 2, "--out", tmp_path / "two")
    assert command(*words)[0] == 0
    assert results(tmp_path / "two") == results(alone)
    assert repr(without_times(tmp_path / "two")) == repr(without_times(alone))
    assert len(list((tmp_path / "two" / "pictures" / "streets" / "run").iterdir())) == 2
    assert not (tmp_path / "two" / ".partial").exists()


@pytest.mark.slow
def test_torchrun_gives_the_bits_of_one_process(alone, model_folder, tmp_path):
    out = tmp_path / "two"
    launcher = ("torch.distributed.run", "--nproc-per-node", "2", "--standalone")
    words = ("roadanomaly", "evaluate", str(model_folder), *OPTIONS, "--out", str(out))
    done = subprocess.run(
        [sys.executable, "-m", *launcher, "-m", *words],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert results(out) == results(alone)


@pytest.mark.slow
def test_a_mistake_in_any_process_ends_all_with_one_message(model_folder, tmp_path, capfd):
    """This one and the worker that it starts, which writes to the same error stream."""
    words = ["evaluate", str(model_folder), "--on", "streets", "--data.split", "none"]
    assert main([*words, "--workers", "2", "--out", str(tmp_path / "two")]) == 2
    err = capfd.readouterr().err
    assert err.count("streets has no split 'none'") == 1
    assert "Traceback" not in err


@pytest.mark.slow
def test_a_killed_evaluation_goes_on_from_the_frames_that_were_scored(
    command, model_folder, tmp_path
):
    out = tmp_path / "killed"
    many = (*SET, "--data.count", "40", "--detectors", "msp", "--pictures", "2")
    words = ("evaluate", model_folder, *many, "--out", out)
    process = processes.command(words)
    deadline = time.monotonic() + 200
    while len(list(out.glob(".partial/*/*.npz"))) < 5:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (out / "metrics.json").exists()
    code, _, err = command(*words)
    assert code == 0, err
    assert "of 40 frames were scored before; going on" in err
    assert command(*words[:-1], tmp_path / "whole")[0] == 0
    assert results(out) == results(tmp_path / "whole")
    assert json.loads((out / "metrics.json").read_text())["streets"]["frames"] == 40


@pytest.mark.slow
def test_frames_scored_by_another_model_are_dropped_with_a_message(command, model_folder, tmp_path):
    out = tmp_path / "run"
    stale = out / ".partial" / "0123456789abcdef"
    stale.mkdir(parents=True)
    (stale / "000000.npz").write_bytes(b"")
    (stale.parent / "here").touch()
    code, _, err = command("evaluate", model_folder, *OPTIONS, "--out", out)
    assert code == 0
    assert "1 frames that an earlier, unfinished evaluation scored" in err
