"""`roadanomaly flow`: a flow is trained, resumed, sampled from, and mistakes are explained."""

from __future__ import annotations

import csv
import json

import cv2
import pytest
import torch
import yaml

from roadanomaly.flows.store import load_flow, save_flow
from roadanomaly.training.checkpoint import load_checkpoint
from roadanomaly.training.loop import Trainer
from tests.flows import small
from tests.training import runs
from tests.training.test_loop import at_step, fail

SMALLEST = {
    "flow": {"name": "glow", "levels": 1, "steps": 1, "hidden": 4},
    "train_data": {**runs.STREETS, "count": 3},
    "val_data": {**runs.STREETS, "split": "val", "count": 2},
    "crop": [16, 16],
    "steps": 4,
    "batch_size": 2,
    "val_crops": 24,
    "validate_every": 2,
    "checkpoint_every": 2,
    "log_every": 1,
    "workers": 0,
    "accelerator": "cpu",
    "devices": 1,
}


@pytest.fixture
def config(tmp_path):
    def write(**changes):
        path = tmp_path / "flow.yaml"
        values = {**SMALLEST, "out": str(tmp_path / "run"), **changes}
        path.write_text(yaml.safe_dump(values))
        return path

    return write


def final(folder):
    last = load_checkpoint(folder / "checkpoints" / "last.pt")
    return {**last["networks"], **last["average"]["state"]}


@pytest.mark.slow
def test_train_then_sample(command, config, tmp_path):
    code, _, err = command("flow", "train", config())
    assert code == 0
    assert "bits/dim" in err
    rows = list(csv.DictReader((tmp_path / "run" / "validation.csv").open()))
    assert [row["step"] for row in rows] == ["2", "4"]
    assert all(0 < float(row["bits_per_dim"]) < 30 for row in rows)
    record = json.loads((tmp_path / "run" / "flow" / "flow.json").read_text())["record"]
    assert record["train_data"]["count"] == 3
    assert record["parameters"] == sum(p.numel() for p in load_flow(tmp_path / "run").parameters())
    words = ("--count", 3, "--size", 16, 32, "--out", tmp_path / "pictures")
    code, out, _ = command("flow", "sample", tmp_path / "run", *words)
    assert code == 0
    assert "samples.png" in out
    assert cv2.imread(str(tmp_path / "pictures" / "samples.png")).shape[0] == 16
    assert cv2.imread(str(tmp_path / "pictures" / "scenes.png")).shape[0] > 2 * 288


@pytest.mark.slow
def test_a_run_that_died_goes_on_unchanged(command, config, tmp_path, monkeypatch):
    assert command("flow", "train", config())[0] == 0
    with monkeypatch.context() as patch:
        at_step(patch, 4, fail)
        with pytest.raises(RuntimeError, match="plug"):
            command("flow", "train", config(), "--out", tmp_path / "died")
    code, *_ = command("flow", "train", config(), "--out", tmp_path / "died", "--resume")
    assert code == 0
    whole, resumed = final(tmp_path / "run"), final(tmp_path / "died")
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)
    for table in ("metrics.csv", "validation.csv"):
        assert (tmp_path / "run" / table).read_text() == (tmp_path / "died" / table).read_text()


@pytest.mark.slow
def test_what_is_kept_is_the_best_validated_average(command, config, tmp_path, monkeypatch):
    runs.judge_by(monkeypatch, float)
    assert command("flow", "train", config())[0] == 0
    last = load_checkpoint(tmp_path / "run" / "checkpoints" / "last.pt")
    kept = load_flow(tmp_path / "run").state_dict()
    assert all(torch.equal(kept[key], value) for key, value in last["average"]["state"].items())
    assert any(not torch.equal(kept[key], value) for key, value in last["networks"].items())


@pytest.mark.slow
def test_learning_lowers_the_cost(config, tmp_path):
    from roadanomaly.cli.flow import TRAIN_EXAMPLES
    from roadanomaly.cli.parsing import new_parser
    from roadanomaly.cli.runs import read_run
    from roadanomaly.training.flow_config import FlowConfig

    changes = {"steps": 60, "batch_size": 8, "validate_every": 20, "warmup": 5, "average": 0.8}
    changes |= {"lr": 0.02, "flow": {"name": "glow", "levels": 1, "steps": 4, "hidden": 8}}
    parser = new_parser("flow train", "", TRAIN_EXAMPLES)
    kind, _ = read_run(parser, FlowConfig, [str(config(**changes))])
    folder = Trainer(kind).run()
    rows = list(csv.DictReader((folder / "validation.csv").open()))
    assert float(rows[-1]["bits_per_dim"]) < float(rows[0]["bits_per_dim"]) - 0.2


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("flow",), "train or sample"),
        (("flow", "smaple"), "did you mean `sample`"),
        (("flow", "train"), "give a config file"),
        (("flow", "train", "{config}", "--crop", "[17, 16]"), "multiples of 2"),
        (("flow", "train", "{config}", "--flow.name", "glowe"), "did you mean `glow`"),
        (("flow", "train", "{config}", "--flow.channels", 1), "images have 3 channels"),
        (("flow", "train", "{config}", "--lrr", 1), "did you mean `--lr`"),
        (("flow", "train", "{config}", "--val_crops", 0), "`val_crops` must be at least 1"),
        (("flow", "sample", "{tmp}"), "no flow at"),
        (("flow", "sample", "{flow}"), "give scenes with --data.name"),
        (("flow", "sample", "{flow}", "--size", 15, 16), "multiples of 2"),
        (("flow", "sample", "{flow}", "--count", 0), "at least 1"),
    ],
)
def test_mistakes_are_explained(words, expected, command, config, tmp_path):
    from roadanomaly.flows import Glow

    save_flow(Glow(levels=1, steps=1, hidden=4), tmp_path / "own" / "flow")
    places = {"config": config(), "tmp": tmp_path / "nowhere", "flow": tmp_path / "own"}
    code, _, err = command(*(str(word).format(**places) for word in words))
    assert code == 2
    assert expected in err
    assert "Traceback" not in err


@pytest.mark.parametrize("part", ["weights.safetensors", "flow.json"])
def test_a_broken_flow_is_named(command, tmp_path, part):
    save_flow(small.build("glow"), tmp_path / "flow")
    (tmp_path / "flow" / part).write_bytes(b"{broken")
    code, _, err = command("flow", "sample", tmp_path)
    assert code == 2
    assert "is broken" in err


@pytest.mark.parametrize("name", ["denseflow", "glow_cycle", "realnvp_mixture"])
def test_a_flow_comes_back(name, tmp_path):
    flow = small.build(name)
    save_flow(flow, tmp_path / "flow")
    again = load_flow(tmp_path / "flow")
    assert again.options() == flow.options()
    state = again.state_dict()
    assert all(torch.equal(state[key], value) for key, value in flow.state_dict().items())
