"""Made once, copied for each mistake."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from roadanomaly.cli.main import main
from tests import layouts
from tests.mistakes.bench import Bench, write_map


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """Make everything once; each case spoils a copy."""
    base = tmp_path_factory.mktemp("whole")
    layouts.smiyc_anomaly(base / "root")
    (base / "maps").mkdir()
    rng = np.random.default_rng(0)
    for number in range(10):
        score = rng.normal(size=(layouts.HEIGHT, layouts.WIDTH)).astype(np.float16)
        write_map(base / "maps" / f"validation{number:04d}.hdf5", score)
    words = ("--scores", base / "maps", "--root", base / "root", "--on", "smiyc-anomaly")
    assert main(["evaluate", *map(str, words), "--pictures", "1", "--out", str(base / "out")]) == 0
    return base


@pytest.fixture
def bench(whole, tmp_path, model_folder):
    shutil.copytree(whole, tmp_path / "bench")
    shutil.copytree(model_folder, tmp_path / "bench" / "model")
    base = tmp_path / "bench"
    return Bench(base / "root", base / "maps", base / "out", base / "model")


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory):
    import roadanomaly as ra

    folder = tmp_path_factory.mktemp("model") / "run"
    ra.Model(ra.segmenter("espnetv2", scale=0.5), ra.detector("energy")).save(folder / "model")
    return folder
