"""Command lines, and the sets and models that they export."""

import cv2
import numpy as np
import pytest

import roadanomaly as ra
from roadanomaly.calibration import calibrate
from roadanomaly.cli.main import main
from tests import layouts
from tests.evaluation.submission import sets


@pytest.fixture
def export(capsys):
    """Run `export submission`; return exit code, standard output and standard error."""

    def call(*words):
        code = main(["export", "submission", *map(str, words)])
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture(scope="session")
def anomaly_root(tmp_path_factory):
    """All of AnomalyTrack."""
    return sets.anomaly_track(tmp_path_factory.mktemp("track"))


@pytest.fixture(scope="session")
def anomaly_maps(tmp_path_factory):
    """A map for every frame of AnomalyTrack."""
    return sets.write_scores(tmp_path_factory.mktemp("maps") / "mine", sets.ANOMALY_IDS)


@pytest.fixture(scope="session")
def part_root(tmp_path_factory):
    """Fourteen frames of AnomalyTrack with contents of their own."""
    root = layouts.smiyc_anomaly(tmp_path_factory.mktemp("part"))
    images = sorted((root / "dataset_AnomalyTrack" / "images").iterdir())
    for seed, path in enumerate(images):
        layouts.write_photo(path, seed, (48, 64))
    for path in (root / "dataset_AnomalyTrack" / "labels_masks").glob("*_semantic.png"):
        mask = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        cv2.imwrite(str(path), cv2.resize(mask, (64, 48), interpolation=cv2.INTER_NEAREST))
    return root


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory):
    """A calibrated model with random weights, as `train` leaves it."""
    folder = tmp_path_factory.mktemp("run") / "my-method"
    model = ra.Model(ra.segmenter("espnetv2", scale=0.5), ra.detector("energy"), min_area=20)
    noise = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    model.calibration = calibrate([model(noise).score.ravel()], 0.05, "noise")
    model.save(folder / "model")
    return folder
