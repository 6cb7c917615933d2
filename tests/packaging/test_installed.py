"""After `pip install`, without clone, run folder, extra or download, a picture is judged."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

import roadanomaly
from roadanomaly.cli.main import COMMANDS
from tests.packaging.conftest import call

pytestmark = pytest.mark.slow


@pytest.fixture
def run(bare, tmp_path):
    """Run the installed command in a folder of its own, with nothing of this environment."""

    def start(*words):
        environment = {"HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}
        program = bare / "roadanomaly"
        return call([program, *map(str, words)], cwd=tmp_path, env=environment, timeout=300)

    return start


def test_predict_needs_nothing_but_a_picture(run, source, tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "photo.png"), picture)
    assert "1 of 1 images" in run("predict", "photo.png", "--out", "found")
    expected = roadanomaly.load(source / "roadanomaly" / "models" / "default")(picture[..., ::-1])
    score = np.load(tmp_path / "found" / "photo_score.npy")
    np.testing.assert_allclose(score, expected.score, rtol=1e-5, atol=1e-5)
    assert (tmp_path / "found" / "photo_overlay.png").exists()


def test_the_list_shows_the_model_that_came_with_it(run):
    printed = run("list", "models")
    assert "default (energy on smp)" in printed
    assert "a black image" in printed


def test_the_help_names_every_command(run):
    printed = run("--help")
    assert all(name in printed for name in COMMANDS)


def test_the_environment_has_no_extra(bare, tmp_path):
    code = "from roadanomaly.extras import require; require('onnxruntime', 'this test')"
    words = f"try:\n  {code}\nexcept Exception as e: print(type(e).__name__)"
    assert call([bare / "python", "-c", words], cwd=tmp_path, env={}).strip() == "MissingExtra"
