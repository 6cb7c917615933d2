"""A packed model is the saved one with some weights rounded by NumPy, and names no machine."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import roadanomaly as ra
from roadanomaly.calibration import Calibration, calibrate
from roadanomaly.cli.main import main
from roadanomaly.errors import OptionError
from roadanomaly.flows.vector_flow import VectorFlow
from roadanomaly.model import load, write_model
from roadanomaly.packing import compare, halved, packed_description, portable
from roadanomaly.saved_model import read_saved

SHAPE = ("--limit", "2", "--data.height", "64", "--data.width", "128")
RECORD = {
    "command": "/opt/bin/roadanomaly train /home/ann/a.yaml",
    "machine": "a processor, 2 cores",
    "started": "today",
    "seed": 3,
    "packages": {"torch": "2.6"},
    "config": {
        "out": "/home/ann/runs/a",
        "steps": 5,
        "devices": 2,
        "train_data": {"name": "camvid", "root": "/data/camvid"},
        "start": "~/b/model",
    },
    "train_data": {"name": "union", "sets": [{"name": "camvid", "split": "train"}]},
    "negatives": {"name": "paste", "root": "coco128seg", "part": "train"},
}


@pytest.fixture
def model():
    made = ra.Model(ra.segmenter("espnetv2", scale=0.5), ra.detector("energy"))
    made.calibration = calibrate([made(picture()).score.ravel()], 0.05, "a picture")
    return made


def picture(seed=0):
    return np.random.default_rng(seed).integers(0, 256, (64, 96, 3), dtype=np.uint8)


class Toy(nn.Module):
    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.layer_norm = nn.LayerNorm(4)
        self.flow = VectorFlow(4)
        self.register_buffer("mean", torch.randn(4))
        self.register_buffer("count", torch.tensor(5))


def test_weights_are_rounded_as_numpy_does_and_the_rest_stays():
    toy = Toy()
    packed, whole = halved(toy), toy.state_dict()
    assert packed.keys() == whole.keys()
    for name, value in packed.items():
        if name.startswith("convolution."):
            expected = whole[name].numpy().astype(np.float16)
            np.testing.assert_array_equal(value.numpy(), expected, strict=True)
        else:
            np.testing.assert_array_equal(value.numpy(), whole[name].numpy(), strict=True)


def test_a_weight_beyond_half_precision_is_refused():
    toy = Toy()
    toy.convolution.weight.data[0, 0, 0, 0] = -70_000
    with pytest.raises(OptionError, match=r"convolution.weight reaches 7e\+04.*65504"):
        halved(toy)


def test_a_packed_model_scores_as_one_whose_weights_numpy_rounded(model, tmp_path):
    weights = halved(model.networks)
    write_model(tmp_path / "m", packed_description(model, {}), weights)
    stored = load_file(tmp_path / "m" / "weights.safetensors")
    assert {one.dtype for one in stored.values()} >= {torch.float16, torch.float32}
    _, _, read = read_saved(tmp_path / "m")
    assert all(one.dtype != torch.float16 for one in read.values())
    found = load(tmp_path / "m")
    assert all(one.dtype == torch.float32 for one in found.networks.parameters())
    before = model(picture()).score
    change = compare(model, found, [torch.from_numpy(picture()).permute(2, 0, 1)])
    with torch.no_grad():
        for name, parameter in model.networks.named_parameters():
            if weights[name].dtype == torch.float16:
                parameter.copy_(torch.from_numpy(parameter.numpy().astype(np.float16)))
    after = model(picture()).score
    np.testing.assert_array_equal(found(picture()).score, after)
    difference = np.abs(before.astype(float) - after)
    assert change.agreement.largest == pytest.approx(difference.max())
    assert change.agreement.mean == pytest.approx(difference.mean())
    threshold = model.calibration.threshold
    assert change.moved == pytest.approx(np.mean((before > threshold) != (after > threshold)))


def test_a_model_without_a_threshold_has_no_masks_that_could_change(model, tmp_path, capsys):
    model.calibration = None
    model.save(tmp_path / "run" / "model", RECORD)
    assert main(["pack", str(tmp_path / "run"), "--out", str(tmp_path / "small"), *SHAPE]) == 0
    printed = capsys.readouterr().out
    assert "largest difference" in printed
    assert "mask" not in printed
    held = json.loads((tmp_path / "small" / "model.json").read_text())
    assert held["record"]["packed"]["mask_pixels_changed"] is None


def test_nothing_of_the_machine_is_left():
    found = portable(RECORD)
    assert found["seed"] == 3
    assert found["packages"] == RECORD["packages"]
    assert found["train_data"] == RECORD["train_data"]
    assert found["config"]["steps"] == 5
    text = json.dumps(found)
    for word in ("ann", "/data", "command", "machine", "today", "devices", '"out"', "~"):
        assert word not in text


def test_a_model_that_needs_a_file_of_the_machine_is_refused(model, monkeypatch):
    monkeypatch.setattr(model.segmenter, "options", lambda: {"path": "/home/ann/a.onnx"})
    with pytest.raises(OptionError, match=r"cannot be packed: its segmenter reads a file.*a\.onnx"):
        packed_description(model, {})


@pytest.mark.slow
def test_pack_writes_a_card_figures_and_named_thresholds(model, tmp_path, capsys):
    run, out = tmp_path / "run", tmp_path / "small"
    model.save(run / "model", RECORD)
    (tmp_path / "notes.md").write_text("Made for a test.\n")
    (tmp_path / "figures.json").write_text('{"roadanomaly": {"AP": 70.5, "FPR95": 20}}')
    words = [
        *("pack", str(run), "--out", str(out), "--name", "tiny", *SHAPE),
        *("--card", str(tmp_path / "notes.md"), "--figures", str(tmp_path / "figures.json")),
        *("--sensitivity", "{low: 0.01, high: 0.2}"),
    ]
    assert main(words) == 0
    printed = capsys.readouterr().out
    sizes = [sum(one.stat().st_size for one in folder.iterdir()) for folder in (run / "model", out)]
    assert sizes[1] < sizes[0]
    for size in sizes:
        assert f"{size / 1e3:.1f} kB" in printed
    held = json.loads((out / "model.json").read_text())
    assert held["name"] == "tiny"
    assert held["figures"] == {"roadanomaly": {"AP": 70.5, "FPR95": 20}}
    score = model(picture()).score
    for name, rate in (("low", 0.01), ("high", 0.2)):
        threshold = load(out).calibration.at_sensitivity(name).threshold
        assert np.mean(score > threshold) == pytest.approx(rate, abs=2e-3)
    packed = held["record"]["packed"]
    assert f"largest difference {packed['largest_difference']:.3g}" in printed
    card = (out / "README.md").read_text()
    for part in ("# tiny", "Made for a test.", "## Licence", "camvid train", "coco128seg", "70.5"):
        assert part in card
    assert not re.search(r"ann|/data/", card + (out / "model.json").read_text())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--sensitivity", "{lwo: 0.1}"), "`low`"),
        (("--sensitivity", "{low: 0.2, high: 0.1}"), "cannot be higher"),
        (("--sensitivity", "{low: 0.1}", "--thresholds", "{low: 1.0}"), "one of them"),
        (("--thresholds", "{low: 1e9}"), "lies beyond the scores"),
        (("--sensitivity", "{low: 1e-9}"), "cannot be told"),
        (("--figures", "{run}/model/model.json"), "must hold finite numbers"),
        (("--figures", "{run}/model/README.md"), "is no JSON"),
        (("--card", "{run}/none.md"), "cannot be read"),
        (("--out", "{run}/model"), "is the model itself"),
        (("--out", "{run}"), "would be lost"),
    ],
)
def test_mistakes_cost_nothing(words, expected, model, tmp_path, capsys):
    run = tmp_path / "run"
    model.save(run / "model", RECORD)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    given = [word.replace("{run}", str(run)) for word in words]
    out = [] if "--out" in words else ["--out", str(tmp_path / "out")]
    assert main(["pack", str(run), *out, *SHAPE, *given]) == 2
    assert expected in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_an_old_file_has_no_named_thresholds(model):
    held = model.calibration.as_dict()
    del held["sensitivities"]
    assert Calibration.from_dict(held) == model.calibration
