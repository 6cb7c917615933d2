"""The whole command on drawn streets: killed in a training, called again, and a row that fails."""

import csv
import os
import re
import shutil
import time
from pathlib import Path

import pytest
import yaml

from tests.leaderboard.forked import leaderboard
from tests.processes import Begun

STREETS = {"name": "streets", "count": 2, "height": 64, "width": 128}
SPLIT = {name: {**STREETS, "split": name} for name in ("train", "val", "test")}
SMALL = {"workers": 0, "checkpoint_every": 1, "validate_every": 0, "jitter": 0.0, "degrade": 0.0}
CONFIG = {
    "title": "Tiny",
    "segmenter": "@base",
    "against": "msp",
    "frames": 1,
    "resamples": 10,
    "training": {
        **SMALL,
        "train_data": SPLIT["train"],
        "val_data": SPLIT["val"],
        "steps": 8,
        "batch_size": 2,
        "crop": [48, 64],
    },
    "fitting": {"data": SPLIT["train"]},
    "closed_set": {"data": SPLIT["val"]},
    "sets": {"streets": {"data": SPLIT["test"]}},
    "ordinary": {"quiet": {"data": SPLIT["val"]}},
    "first": {
        "base": {
            "options": {
                "segmenter": {"name": "espnetv2", "scale": 0.5},
                "detector": {"name": "max_logit"},
                "steps": 1,
            }
        }
    },
    "rows": {
        "msp": {"how": "fit", "options": {"detector": {"name": "msp"}}},
        "trained": {"options": {"detector": {"name": "energy"}}},
        "broken": {
            "how": "fit",
            "options": {"detector": {"name": "mahalanobis", "feature": "decoder99"}},
        },
    },
}
PATIENCE_S = 900


def start(config, out, jobs=1):
    return Begun(leaderboard, str(config), "--out", str(out), "--jobs", str(jobs))


def finish(config, out, jobs=1):
    process = start(config, out, jobs)
    said = "".join(process.communicate(timeout=PATIENCE_S))
    assert process.returncode == 0, said
    return said


def wait_for(path: Path, process: Begun):
    end = time.monotonic() + PATIENCE_S
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, path
        time.sleep(0.02)


def holder(run: Path) -> int:
    return yaml.safe_load((run / ".lock").read_text())["pid"]


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[-1].split()[0]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes in /proc")
def test_killed_in_a_training_and_called_again_the_table_is_the_same(tmp_path):
    config = tmp_path / "board.yaml"
    config.write_text(yaml.safe_dump(CONFIG))
    killed = tmp_path / "killed"
    process = start(config, killed)
    run = killed / "runs" / "trained_0"
    wait_for(run / "checkpoints" / "last.pt", process)
    child = holder(run)
    process.kill()
    process.communicate()
    end = time.monotonic() + PATIENCE_S
    while is_alive(child):
        assert time.monotonic() < end, "the child outlived the leaderboard"
        time.sleep(0.02)
    whole = tmp_path / "whole"
    shutil.copytree(killed, whole)
    shutil.rmtree(whole / "runs" / "trained_0")

    said = finish(config, killed)
    assert re.search(r"trained_0: roadanomaly train \S+ --resume \(step \d of 8\)", said)
    assert "base_0: roadanomaly" not in said
    assert "msp_0: roadanomaly" not in said
    finish(config, whole, jobs=2)
    tables = [(one / "leaderboard.csv").read_text() for one in (whole, killed)]
    assert tables[0] == tables[1]
    assert tables[0].count("\nstreets,") == len(CONFIG["rows"])
    counts = {
        line["method"]: line["quiet.false_a_frame"]
        for line in csv.DictReader(tables[0].splitlines())
    }
    assert {name: bool(count) for name, count in counts.items()} == {
        "msp": True,
        "trained": True,
        "broken": False,
    }

    line = next(one for one in tables[0].splitlines() if "broken" in one)
    assert "failed: " in line
    assert "decoder99" in line

    again = finish(config, whole)
    told = [one.split(":")[0] for one in again.splitlines() if ": roadanomaly " in one]
    assert told == ["broken_0"]
    assert (whole / "leaderboard.csv").read_text() == tables[0]
