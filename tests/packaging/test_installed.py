"""After `pip install`, without clone, run folder, extra or download, a picture is judged."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import pytest

import roadanomaly
from roadanomaly import models
from roadanomaly.cli.main import COMMANDS
from tests.packaging.conftest import call

pytestmark = pytest.mark.slow


README = Path(__file__).parents[2] / "README.md"
ALONE = """
import socket, sys

def refuse(*_):
    raise OSError("this test has no network")

socket.socket.connect = socket.getaddrinfo = refuse
"""


@pytest.fixture
def environment(tmp_path):
    """Return variables that show nothing of this environment, and put a photograph there."""
    picture = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    for name in ("photo.png", "street.jpg"):
        cv2.imwrite(str(tmp_path / name), picture)
    return {"HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}


@pytest.fixture
def run(bare, tmp_path, environment):
    """Run the installed command in a folder of its own."""

    def start(*words):
        program = bare / "roadanomaly"
        return call([program, *map(str, words)], cwd=tmp_path, env=environment, timeout=300)

    return start


@pytest.fixture
def interpret(bare, tmp_path, environment):
    """Run lines of Python there, without a network."""

    def start(code):
        words = [bare / "python", "-c", ALONE + code]
        return call(words, cwd=tmp_path, env=environment, timeout=300)

    return start


def test_predict_needs_nothing_but_a_picture(run, tmp_path):
    assert "1 of 1 images" in run("predict", "photo.png", "--out", "found")
    expected = roadanomaly.load()(cv2.imread(str(tmp_path / "photo.png"))[..., ::-1])
    score = np.load(tmp_path / "found" / "photo_score.npy")
    np.testing.assert_allclose(score, expected.score, rtol=1e-4, atol=1e-3)
    assert (tmp_path / "found" / "photo_overlay.png").exists()


@pytest.mark.parametrize("name", models.names())
def test_predict_asks_no_network_and_imports_no_library_of_training(interpret, name):
    words = ["predict", "photo.png", "--model", name]
    code = f"from roadanomaly.cli.main import main\nassert main({words!r}) == 0\n"
    there = "print(*(name for name, module in sys.modules.items() if module))"
    printed = interpret(f"{code}{there}")
    imported = {one.split(".")[0] for one in printed.splitlines()[-1].split()}
    assert "torch" in imported
    assert not imported & {"lightning", "lightning_fabric", "tensorboard", "torchmetrics"}


def test_the_first_python_of_the_readme_runs(interpret):
    """All but its last line, which reads a file of weights that does not come along."""
    pattern = r"```python\n(import roadanomaly as ra\n\nmodel = ra.load.*?)```"
    (block,) = re.findall(pattern, README.read_text(), re.DOTALL)
    code, last = block.rstrip().rsplit("\n", 1)
    assert last.startswith("segmenter = ")
    printed = interpret(f"{code}\nprint(result.score.shape, model('photo.png').score.shape)")
    assert printed.split("\n")[-2] == "(64, 96) (64, 96)"


def test_the_list_shows_the_models_that_came_with_it(run):
    printed = run("list", "models")
    for name in models.names():
        assert f"  {name} (" in printed


def test_the_help_names_every_command(run):
    printed = run("--help")
    assert all(name in printed for name in COMMANDS)


def test_the_environment_has_no_extra(bare, tmp_path):
    code = "from roadanomaly.extras import require; require('onnxruntime', 'this test')"
    words = f"try:\n  {code}\nexcept Exception as e: print(type(e).__name__)"
    assert call([bare / "python", "-c", words], cwd=tmp_path, env={}).strip() == "MissingExtra"
