"""What a build packs: the whole package, its models, and the recipes of `configs/`."""

from __future__ import annotations

import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.packaging.conftest import call

pytestmark = pytest.mark.slow

LARGEST = 20_000_000
"""Bytes of the wheel."""


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_a_wheel_holds_every_file_of_the_package_and_every_recipe(wheel, source):
    recipes = {f"configs/{name}": data for name, data in contents(source / "configs").items()}
    assert recipes
    with zipfile.ZipFile(wheel) as packed:
        names = [name for name in packed.namelist() if name.startswith("roadanomaly/")]
        found = {name.removeprefix("roadanomaly/"): packed.read(name) for name in names}
    assert found == contents(source / "roadanomaly") | recipes
    assert "models/default/weights.safetensors" in found
    assert "models/LICENSE" in found


def test_a_wheel_is_small(wheel):
    assert wheel.stat().st_size <= LARGEST


def test_an_archive_of_the_source_holds_them_too(source, tmp_path):
    words = ["egg_info", "--egg-base", tmp_path, "sdist", "--dist-dir", tmp_path / "dist"]
    call([sys.executable, "setup.py", "--quiet", *map(str, words)], cwd=source)
    (path,) = (tmp_path / "dist").glob("*.tar.gz")
    with tarfile.open(path) as packed:
        found = {name.partition("/")[2] for name in packed.getnames()}
    for folder in ("configs", "roadanomaly"):
        assert {f"{folder}/{name}" for name in contents(source / folder)} <= found


def test_an_installed_package_knows_where_its_recipes_are(bare, tmp_path):
    code = "from roadanomaly.cli.recipes import RECIPES; print(RECIPES)"
    printed = call([bare / "python", "-c", code], cwd=tmp_path, env={})
    place = Path(printed.strip())
    assert place.parts[-2:] == ("roadanomaly", "configs")
    assert place.is_relative_to(bare.parent)
