"""The package and the command's first page come before anything heavy is imported."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import roadanomaly
from roadanomaly.cli.main import main

HEAVY = {
    *("cv2", "h5py", "jsonargparse", "lightning_fabric", "numpy", "PIL", "scipy", "yaml"),
    *("mmcv", "mmengine", "mmseg", "onnx", "onnxruntime", "segmentation_models_pytorch"),
    *("sklearn", "timm", "torch", "torchvision", "transformers"),
}


def afterwards(code):
    """Run code in a fresh interpreter; return what it printed and the packages it imported."""
    names = "print(*{name.split('.')[0] for name in sys.modules}, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; {code}; {names}"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout, set(done.stderr.split())


def test_the_package_imports_nothing_heavy():
    _, packages = afterwards("import roadanomaly; roadanomaly.__version__")
    assert "roadanomaly" in packages
    assert not packages & HEAVY


@pytest.mark.parametrize("words", [["--help"], ["-h"], []])
def test_help_imports_nothing_heavy(words):
    printed, packages = afterwards(f"from roadanomaly.cli.main import main; main({words!r})")
    assert "usage: roadanomaly" in printed
    assert not packages & HEAVY


def test_models_are_listed_without_a_network_library():
    code = "from roadanomaly.cli.main import main; main(['list', 'models'])"
    printed, packages = afterwards(code)
    found = Path(roadanomaly.__file__).parent.glob("models/*/model.json")
    named = {line.split()[0] for line in printed.splitlines() if re.match(r"  \w", line)}
    assert named == {path.parent.name for path in found}
    assert not packages & HEAVY - {"jsonargparse", "numpy", "yaml"}


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
