"""The package as others get it: a wheel and an archive of a copy of its source.

One wheel and one virtual environment serve all tests of a session. A complete installation of the
dependencies takes longer than all tests here, so the environment borrows those of the running
interpreter, and refuses every package that `pip install roadanomaly` would not have brought.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
SOURCE = ("LICENSE", "MANIFEST.in", "README.md", "pyproject.toml", "setup.py")
REFUSE = """import sys
sys.modules.update(dict.fromkeys({names!r}))
"""


@pytest.fixture(scope="session")
def source(tmp_path_factory):
    """Copy what a build reads."""
    folder = tmp_path_factory.mktemp("source")
    for name in SOURCE:
        shutil.copy(ROOT / name, folder / name)
    for name in ("configs", "roadanomaly"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.fixture(scope="session")
def wheel(source, tmp_path_factory):
    """Build the wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, source)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="session")
def bare(wheel, tmp_path_factory):
    """Install the wheel into a new environment without extras; return its folder of programs."""
    folder = tmp_path_factory.mktemp("environment")
    call([sys.executable, "-m", "venv", "--without-pip", str(folder)])
    place = Path(
        sysconfig.get_path("purelib", "venv", {"base": str(folder), "platbase": str(folder)})
    )
    pip("--python", folder, "install", "--no-deps", wheel)
    borrowed = sysconfig.get_path("purelib")
    (place / "refused.py").write_text(REFUSE.format(names=sorted(not_brought(wheel))))
    (place / "borrowed.pth").write_text(f"{borrowed}\nimport refused\n")
    return folder / ("Scripts" if sys.platform == "win32" else "bin")


def not_brought(wheel: Path) -> set[str]:
    """Return the installed packages, by import name, that the wheel does not depend on."""
    (about,) = (one for one in zipfile.Path(wheel).iterdir() if one.name.endswith(".dist-info"))
    waiting = [Requirement(line) for line in metadata.PathDistribution(about).requires or []]
    waiting = [one for one in waiting if wanted(one, set())]
    seen: set[tuple[str, str]] = set()
    while waiting:
        one = waiting.pop()
        asked = {(canonicalize_name(one.name), extra) for extra in ("", *one.extras)}
        if asked <= seen:
            continue
        seen |= asked
        with contextlib.suppress(metadata.PackageNotFoundError):
            inner = map(Requirement, metadata.requires(one.name) or [])
            waiting += [need for need in inner if wanted(need, one.extras)]
    brought = {name for name, _ in seen} | {"roadanomaly"}
    return {
        package
        for package, owners in metadata.packages_distributions().items()
        if not {canonicalize_name(owner) for owner in owners} & brought
        and package not in sys.stdlib_module_names  # which an old backport may call its own
    }


def wanted(one: Requirement, extras: set[str]) -> bool:
    """Return whether a requirement holds here, for a package with some extras."""
    marker = one.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras))


def pip(*words) -> None:
    """Run pip; nothing is asked of an index."""
    quiet = ("--quiet", "--disable-pip-version-check")
    call([sys.executable, "-m", "pip", *quiet, *map(str, words)])


def call(words, **options) -> str:
    """Run a program that must succeed; return what it printed."""
    done = subprocess.run(words, capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
