"""Two processes of one run, of which the first validates while the other waits."""

from __future__ import annotations

import numpy as np
import pytest
import yaml

from roadanomaly.training import engine
from roadanomaly.training.config import TrainConfig
from tests.training import disturbed_run, runs
from tests.training.pair import pair


def written(folder):
    """Write the config of a short run and return its path."""
    path = folder / "config_to_run.yaml"
    changes = {"crop": [32, 48], "steps": 2, "validate_every": 1}
    path.write_text(yaml.safe_dump({**runs.SMALLEST, **changes, "out": str(folder / "run")}))
    return path


def disturbed(how, folder):
    """Return the exit codes and the outputs of two processes."""
    return zip(*pair(disturbed_run.train, how, str(written(folder))), strict=True)


@pytest.mark.parametrize(
    ("given", "taken"), [({}, 1), ({"devices": 4}, 4), ({"devices": "auto"}, "auto")]
)
def test_a_run_takes_one_device_unless_told(given, taken, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(engine, "Fabric", lambda **options: seen.append(options["devices"]))
    smallest = {key: value for key, value in runs.SMALLEST.items() if key != "devices"}
    engine.build_fabric(TrainConfig(**smallest, **given))
    assert seen == [taken]


@pytest.mark.slow
def test_a_validation_may_take_longer_than_a_step_may(tmp_path):
    codes, outputs = disturbed("slow", tmp_path)
    assert codes == (0, 0), outputs
    table = np.genfromtxt(tmp_path / "run" / "validation.csv", delimiter=",", names=True)
    assert table["step"].tolist() == [0, 1, 2]


@pytest.mark.slow
def test_a_validation_that_fails_ends_the_process_that_waits_for_it(tmp_path):
    codes, outputs = disturbed("fails", tmp_path)
    assert 0 not in codes
    assert "roadanomaly train: a validation frame cannot be read." in outputs[0]
    assert "RuntimeError" not in "".join(outputs)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "message"),
    [("data", "torn.png cannot be read."), ("loss", "the loss became nan at step 1")],
)
def test_a_fault_of_one_process_ends_both_with_its_message(how, message, tmp_path):
    codes, (said, told) = disturbed(how, tmp_path)
    assert codes == (2, 2), said + told
    assert f"process 1 of this run could not go on: {message}" in said
    assert f"roadanomaly train: {message}" in told
    assert "Traceback" not in said + told
