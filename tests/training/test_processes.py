"""Two processes of one run, of which the first validates while the other waits."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
import yaml

from tests.training import runs


def disturbed(how, folder):
    """Return the exit code and the output of two processes."""
    path = folder / "config_to_run.yaml"
    changes = {"crop": [32, 48], "steps": 2, "validate_every": 1, "devices": "auto"}
    path.write_text(yaml.safe_dump({**runs.SMALLEST, **changes, "out": str(folder / "run")}))
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    found = subprocess.run(
        [sys.executable, *launcher, "-m", "tests.training.disturbed_run", how, str(path)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    return found.returncode, found.stdout


@pytest.mark.slow
def test_a_validation_may_take_longer_than_a_step_may(tmp_path):
    code, output = disturbed("slow", tmp_path)
    assert code == 0, output
    table = np.genfromtxt(tmp_path / "run" / "validation.csv", delimiter=",", names=True)
    assert table["step"].tolist() == [0, 1, 2]


@pytest.mark.slow
def test_a_validation_that_fails_ends_the_process_that_waits_for_it(tmp_path):
    code, output = disturbed("fails", tmp_path)
    assert code != 0
    assert "roadanomaly train: a validation frame cannot be read." in output
    assert "RuntimeError" not in output
