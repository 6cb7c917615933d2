"""What `pip install .` installs: the whole package, with the recipes of `configs/`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Build the package as a wheel holds it."""
    folder = tmp_path_factory.mktemp("build")
    words = ["egg_info", "--egg-base", folder, "build_py", "--build-lib", folder / "lib"]
    done = subprocess.run(
        [sys.executable, "setup.py", "--quiet", *map(str, words)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder / "lib"


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_it_holds_every_file_of_the_package_and_every_recipe(installed):
    recipes = {f"configs/{name}": data for name, data in contents(ROOT / "configs").items()}
    assert recipes
    assert contents(installed / "roadanomaly") == contents(ROOT / "roadanomaly") | recipes


def test_an_installed_package_knows_where_its_recipes_are(installed, tmp_path):
    code = "from roadanomaly.cli.recipes import RECIPES; print(RECIPES)"
    words = [sys.executable, "-c", code]
    done = subprocess.run(
        words, cwd=tmp_path, env={"PYTHONPATH": str(installed)}, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert Path(done.stdout.strip()) == installed / "roadanomaly" / "configs"
