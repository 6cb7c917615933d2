"""The command's first page comes before anything heavy is imported."""

from __future__ import annotations

import subprocess
import sys

import pytest

import roadanomaly
from roadanomaly.cli.main import main

HEAVY = {
    *("cv2", "h5py", "jsonargparse", "lightning", "numpy", "PIL", "scipy", "yaml"),
    *("mmcv", "mmengine", "mmseg", "onnx", "onnxruntime", "segmentation_models_pytorch"),
    *("timm", "torch", "torchvision", "transformers"),
}


@pytest.mark.parametrize("words", [["--help"], ["-h"], []])
def test_help_imports_nothing_heavy(words):
    code = (
        "import sys; from roadanomaly.cli.main import main; "
        f"main({words!r}); print(*{{name.split('.')[0] for name in sys.modules}}, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert "usage: roadanomaly" in done.stdout
    assert not set(done.stderr.split()) & HEAVY


@pytest.mark.parametrize("name", [*roadanomaly.HOMES, *roadanomaly.__all__])
def test_every_public_name_is_there(name):
    assert getattr(roadanomaly, name) is not None
    assert name in dir(roadanomaly)


def test_other_names_are_not():
    with pytest.raises(AttributeError, match="no attribute 'Modell'"):
        roadanomaly.Modell  # noqa: B018


@pytest.mark.parametrize("word", ["--version", "-V"])
def test_version_is_that_of_the_installed_package(word, capsys):
    assert main([word]) == 0
    assert capsys.readouterr().out == f"roadanomaly {roadanomaly.__version__}\n"
