"""A tiny trained model that the commands are tried with."""

import cv2
import numpy as np
import pytest
import torch

import roadanomaly as ra
from roadanomaly import models
from roadanomaly.calibration import calibrate
from roadanomaly.cli.main import main


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model") / "run"
    torch.manual_seed(0)  # a session begins with another state each time
    model = ra.Model(ra.segmenter("espnetv2", scale=0.5), ra.detector("energy"))
    score = model(np.zeros((64, 96, 3), np.uint8)).score
    model.calibration = calibrate([score.ravel()], 0.05, "a black image")
    model.save(folder / "model")
    return folder


@pytest.fixture(scope="session")
def packed(model_folder, tmp_path_factory):
    """Return a folder of models as the package carries them: `default` and `fast`."""
    root = tmp_path_factory.mktemp("models")
    shape = ("--limit", "1", "--data.height", "64", "--data.width", "128")
    rates = ("--sensitivity", "{low: 0.02, normal: 0.05, high: 0.2}")
    for name in ("fast", "default"):
        words = ["pack", str(model_folder), "--out", str(root / name), *shape, *rates]
        assert main(words) == 0
    return root


@pytest.fixture
def box(packed, monkeypatch):
    """Put two packed models into the package."""
    monkeypatch.setattr(models, "ROOT", packed)
    return packed


@pytest.fixture
def empty_box(tmp_path, monkeypatch):
    """Take the package's own models away."""
    root = tmp_path / "no_models"
    root.mkdir()
    monkeypatch.setattr(models, "ROOT", root)


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in ("a", "b", "c"):
        pixels = rng.integers(0, 255, (48, 64, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / f"{name}.jpg"), pixels)
    return folder


@pytest.fixture
def command(capsys):
    """Run a command line; return exit code, standard output and standard error."""

    def call(*words):
        code = main([str(word) for word in words])
        out, err = capsys.readouterr()
        return code, out, err

    return call
