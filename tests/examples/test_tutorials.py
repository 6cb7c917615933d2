"""The tutorials: a notebook holds its script's cells with their output, and the script runs."""

from __future__ import annotations

import os
import runpy
from pathlib import Path

import jupytext
import nbformat
import pytest

from tests.processes import Begun

ROOT = Path(__file__).parents[2]
TUTORIALS = ("first_result", "own_detector", "train_and_evaluate")


@pytest.mark.parametrize("name", TUTORIALS)
def test_the_notebook_is_the_script_with_its_output(name):
    script = jupytext.read(ROOT / "examples" / f"{name}.py")
    notebook = nbformat.read(ROOT / "examples" / f"{name}.ipynb", as_version=4)
    assert [(one.cell_type, one.source) for one in notebook.cells] == [
        (one.cell_type, one.source) for one in script.cells
    ]
    outputs = [out for one in notebook.cells for out in one.get("outputs", [])]
    assert outputs
    assert not [out for out in outputs if out.output_type == "error"]
    assert "stderr" not in {out.get("name") for out in outputs}
    assert str(Path.home()) not in (ROOT / "examples" / f"{name}.ipynb").read_text()


def run(script, folder):
    os.chdir(folder)
    runpy.run_path(str(script), run_name="__main__")


@pytest.mark.slow
@pytest.mark.parametrize("name", TUTORIALS)
def test_the_script_runs(name, tmp_path):
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    done = Begun(run, ROOT / "examples" / f"{name}.py", tmp_path)
    said = done.communicate()
    assert done.returncode == 0, said
