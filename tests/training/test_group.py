"""A service that is stopped, or a cluster's job whose time is up: every process of it is told."""

import os
import signal
import time

import pytest
import yaml

from roadanomaly.training.checkpoint import load_checkpoint
from tests.processes import PATIENCE_S, Begun
from tests.training import runs


def grouped(words):
    """`roadanomaly WORDS`, which leads a group of its own."""
    from roadanomaly.cli.main import main

    os.setpgrp()
    return main(words)


def wait_for_a_step(run, process):
    """Wait until the log of a run tells of its first step."""
    end = time.monotonic() + PATIENCE_S
    while not (run / "metrics.csv").exists() or "\n1," not in (run / "metrics.csv").read_text():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, "no step was taken"
        time.sleep(0.02)


def group_is_gone(group):
    """Wait until no process of a group is left."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


@pytest.mark.slow
def test_a_group_that_is_told_to_end_saves_its_state_and_leaves_no_process(tmp_path):
    options = runs.SMALLEST | {
        "steps": 10_000,
        "checkpoint_every": 10_000,
        "validate_every": 0,
        "workers": 2,
        "out": str(tmp_path / "run"),
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(options | {"crop": [32, 48]}))
    process = Begun(grouped, ["train", str(tmp_path / "config.yaml")])
    wait_for_a_step(tmp_path / "run", process)
    os.killpg(process.pid, signal.SIGTERM)
    _, told = process.communicate()
    step = load_checkpoint(tmp_path / "run" / "checkpoints" / "last.pt")["step"]
    assert step >= 1
    assert told.splitlines()[-1] == (
        f"roadanomaly train: stopped after step {step}; continue with --resume."
    )
    assert process.returncode == 130
    assert group_is_gone(process.pid)
