"""Models, a run and trained weights that version 0.1 wrote are read and answered as it did.

`make_references.py` stored them. Where a test fails, what users saved or published has changed.
"""

from __future__ import annotations

import json
import lzma
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load, save_file

import roadanomaly
from roadanomaly.cli.main import main
from roadanomaly.data import DATASETS
from roadanomaly.detectors import DETECTORS
from tests.references.filled import filled

HERE = Path(__file__).parent
STREETS = {"split": "test", "count": 3, "height": 48, "width": 64}
NOISE = "k_proj.bias"
"""Of these weights the gradient is rounding alone: a bias of all keys moves no attention."""

TOLERANCE = 1e-5
"""Of a score relative to the largest of its model, and of a weight."""


def unpack(name: str) -> bytes:
    return lzma.decompress((HERE / f"{name}.xz").read_bytes())


@cache
def stored() -> dict[str, dict[str, Any]]:
    return json.loads(unpack("models.json"))


@cache
def scores() -> dict[str, np.ndarray]:
    with np.load(HERE / "scores.npz") as file:
        return dict(file)


def names(key: str) -> list[str]:
    return [name for name, entry in stored().items() if key in entry]


def weights_of(name: str) -> dict[str, torch.Tensor]:
    """Return a model's weights: made ones, or its network's and its detector's stored ones."""
    entry = stored()[name]
    if "layout" in entry:
        return filled(entry["layout"])
    weights = load(unpack(f"{entry['segmenter']}.safetensors"))
    if (HERE / f"{name}.safetensors.xz").exists():
        weights |= load(unpack(f"{name}.safetensors"))
    return weights


def put_together(name: str, folder: Path) -> Path:
    """Write a model's folder as version 0.1 wrote it."""
    folder.mkdir()
    (folder / "model.json").write_text(json.dumps(stored()[name]["model.json"], indent=1) + "\n")
    save_file(weights_of(name), folder / "weights.safetensors")
    return folder


@cache
def images() -> list[torch.Tensor]:
    return [frame.image for frame in DATASETS.build("streets", STREETS)]


def assert_scores(name: str, model: roadanomaly.Model) -> None:
    expected = scores()[name]
    found = [model(image).score[1::5, 2::5] for image in images()[: len(expected)]]
    scale = max(1.0, float(np.abs(expected).max()))
    np.testing.assert_allclose(np.stack(found), expected, rtol=0, atol=TOLERANCE * scale)


def assert_weights(model: roadanomaly.Model, what: str) -> None:
    """Compare stored places of all weights, the detector's flags and counts aside."""
    state = model.networks.state_dict()
    for key, entry in json.loads(unpack("weights.json"))[what].items():
        if key.endswith(NOISE):
            continue
        found, expected = state[key].flatten()[entry["places"]], torch.tensor(entry["values"])
        torch.testing.assert_close(found, expected, rtol=TOLERANCE, atol=TOLERANCE, msg=key)


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """The folders that the recipe names, and the current folder among them."""
    shutil.copytree(HERE / "cutouts", tmp_path / "cutouts")
    put_together("max_logit", tmp_path / "start")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("name", names("segmenter"))
def test_a_stored_model_of_every_detector_gives_its_scores(name, tmp_path):
    model = roadanomaly.load(put_together(name, tmp_path / "model"))
    assert_scores(name, model)
    model.save(tmp_path / "again")
    assert_scores(name, roadanomaly.load(tmp_path / "again"))


def test_the_detectors_of_that_version_are_all_stored_and_all_still_there():
    assert len(names("segmenter")) == 16
    assert set(names("segmenter")) <= set(DETECTORS)


def test_a_stored_calibration_is_read(tmp_path):
    entry = stored()["densehybrid"]["model.json"]
    model = roadanomaly.load(put_together("densehybrid", tmp_path / "model"))
    assert model.calibration.as_dict() == entry["calibration"] | {
        key: tuple(entry["calibration"][key]) for key in ("rates", "scores")
    } | {"sensitivities": {}}
    assert model.min_area == entry["min_area"]
    assert model.detector.learned_from == entry["detector_trained_on"]


@pytest.mark.slow
@pytest.mark.parametrize("name", names("layout"))
def test_a_stored_model_of_every_network_gives_its_scores(name, tmp_path):
    assert_scores(name, roadanomaly.load(put_together(name, tmp_path / "model")))


@pytest.mark.slow
def test_twenty_steps_of_the_recipe_give_the_weights_they_gave(workplace):
    shutil.copy(HERE / "recipe.yaml", workplace)
    assert main(["train", "recipe.yaml"]) == 0
    assert_weights(roadanomaly.load("run"), "trained")


@pytest.mark.slow
def test_a_run_that_was_stopped_goes_on(workplace):
    run = workplace / "stopped"
    shutil.copytree(HERE / "stopped", run)
    (run / "checkpoints").mkdir()
    (run / "checkpoints" / "last.pt").write_bytes(unpack("stopped/last.pt"))
    assert main(["train", "stopped/config.yaml", "--resume"]) == 0
    assert_weights(roadanomaly.load(run), "resumed")
    steps = [line.split(",")[0] for line in (run / "metrics.csv").read_text().splitlines()]
    assert steps == ["step", "1", "2", "3", "4", "5", "6"]
