"""A tiny trained model that the commands are tried with."""

import cv2
import numpy as np
import pytest

import roadanomaly as ra
from roadanomaly.calibration import calibrate
from roadanomaly.cli.main import main


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model") / "run"
    model = ra.Model(ra.segmenter("espnetv2", scale=0.5), ra.detector("energy"))
    score = model(np.zeros((64, 96, 3), np.uint8)).score
    model.calibration = calibrate([score.ravel()], 0.05, "a black image")
    model.save(folder / "model")
    return folder


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
