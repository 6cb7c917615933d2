"""What the tests of benchmarks share."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def written_by(tmp_path_factory):
    """Run a benchmark that writes recipes, and return the folder that it wrote them into."""

    def run(script):
        folder = tmp_path_factory.mktemp(script)
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(ROOT)
            patch.syspath_prepend(ROOT / "benchmarks")
            patch.setattr("sys.argv", [f"{script}.py", "--out", str(folder)])
            importlib.import_module(script).main()
        return folder

    return run
