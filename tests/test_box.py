"""The models that come with the package: each loads, is small, and says what it learned from."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import roadanomaly as ra
from roadanomaly import models
from roadanomaly.model import FILES, load
from roadanomaly.model_card import data_sets

ROOT = Path(models.__file__).parent
NAMES = models.names()
LARGEST = 16_000_000
ABSOLUTE = re.compile(r"^(/|~|[A-Za-z]:\\)|(?<![\w.:/])/\w+/\w")


def strings(value):
    """Yield all words of plain values."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in (*value.keys(), *value.values()):
            yield from strings(one)
    elif isinstance(value, list):
        for one in value:
            yield from strings(one)


def check(folder):
    """Say what is wrong with a model that is to come with the package."""
    assert {path.name for path in folder.iterdir()} == set(FILES)
    held = json.loads((folder / "model.json").read_text())
    assert not [word for word in strings(held) if ABSOLUTE.search(word)]
    card = (folder / "README.md").read_text()
    assert "licence" in card.lower()
    named = data_sets(held["record"])
    assert named, "its record names no data set"
    assert all(line in card for line in named)
    model = load(folder)
    assert model.calibration is not None
    networks = model.networks
    stored = load_file(folder / "weights.safetensors")
    for name, parameter in networks.named_parameters():
        if parameter.dim() == 4:
            assert stored[name].dtype == torch.float16, name
    for name, _ in networks.named_buffers():
        assert stored.get(name, torch.zeros(1)).dtype != torch.float16, name
    result = model(np.zeros((64, 96, 3), np.uint8))
    assert np.isfinite(result.score).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_model_of_the_package_is_whole(name):
    check(ROOT / name)
    assert models.folder_of(name) == ROOT / name


def licences(held):
    """Find the numbers of all licences of pictures that a record names, however deep."""
    if isinstance(held, list):
        held = dict(enumerate(held))
    if not isinstance(held, dict):
        return set()
    named = held.get("licences")
    own = {int(one) for one in named} if isinstance(named, dict) else set()
    return own.union(*map(licences, held.values()))


@pytest.mark.parametrize("name", NAMES)
def test_no_model_learned_from_a_picture_that_forbids_derived_works(name):
    """COCO's licences 3 and 6."""
    record = json.loads((ROOT / name / "model.json").read_text())["record"]
    found = licences({key: record[key] for key in ("train_data", "negatives")})
    assert found
    assert not found & {3, 6}


def test_all_models_together_are_small():
    files = [path for path in ROOT.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert sum(path.stat().st_size for path in files) <= LARGEST


def test_their_licence_is_beside_them():
    text = (ROOT / "LICENSE").read_text()
    for part in ("CamVid", "CC BY-NC 4.0", "commercial", "README.md"):
        assert part in text


def test_every_folder_there_is_a_model():
    folders = [path.name for path in ROOT.iterdir() if path.is_dir() and path.name[0] not in "._"]
    assert sorted(folders) == sorted(NAMES)


def test_the_default_model_comes_first(tmp_path, monkeypatch):
    for name in ("b", "default", "a", "no_model"):
        (tmp_path / name).mkdir()
        if name != "no_model":
            (tmp_path / name / "model.json").write_text("{}")
    monkeypatch.setattr(models, "ROOT", tmp_path)
    assert models.names() == ["default", "a", "b"]
    assert models.folder_of("a") == tmp_path / "a"


@pytest.mark.slow
def test_a_packed_model_passes_what_a_model_of_the_package_must(tmp_path, monkeypatch):
    """A whole tiny model, dropped into the folder, is all that a model of the package is."""
    from roadanomaly.calibration import calibrate
    from roadanomaly.cli.main import main

    model = ra.Model(ra.segmenter("espnetv2", scale=0.5), ra.detector("energy"))
    score = model(np.zeros((64, 96, 3), np.uint8)).score
    model.calibration = calibrate([score.ravel()], 0.05, "a black image")
    model.save(tmp_path / "run", {"train_data": {"name": "camvid", "root": "/data/camvid"}})
    shape = ("--limit", "1", "--data.height", "64", "--data.width", "128")
    assert main(["pack", str(tmp_path / "run"), "--out", str(tmp_path / "box/tiny"), *shape]) == 0
    check(tmp_path / "box" / "tiny")
    monkeypatch.setattr(models, "ROOT", tmp_path / "box")
    assert ra.load("tiny").calibration.threshold == model.calibration.threshold
