"""Run the examples as notebooks, and keep them with what they printed and drew.

    python examples/make_notebooks.py                  # all, beside their scripts
    python examples/make_notebooks.py --out somewhere  # elsewhere

The scripts are the source; a notebook is its script's cells, each with its output.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from tempfile import TemporaryDirectory

import jupytext
from nbclient import NotebookClient
from nbformat import NotebookNode
from nbformat import write as write_notebook

HERE = Path(__file__).resolve().parent
SCRIPTS = ("first_result", "train_and_evaluate", "own_detector")
QUIET = {"TQDM_DISABLE": "1", "PYTHONWARNINGS": "ignore"}
KEPT = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}


def executed(script: Path, folder: Path) -> NotebookNode:
    """Return a script's cells, run in `folder`, without what differs from run to run.

    Args:
        script: cells begin with `# %%`.
        folder: that the code works in.
    """
    notebook = jupytext.read(script)
    os.environ.update(QUIET)
    NotebookClient(notebook, timeout=900, resources={"metadata": {"path": str(folder)}}).execute()
    notebook.metadata = NotebookNode(KEPT)
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
        cell.metadata = NotebookNode()
        if cell.cell_type == "code":
            cell.outputs = [one for one in cell.outputs if one.get("name") != "stderr"]
    return notebook


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=HERE)
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    for name in SCRIPTS:
        with TemporaryDirectory() as folder:
            (Path(folder) / "configs").symlink_to(HERE.parent / "configs")
            notebook = executed(HERE / f"{name}.py", Path(folder))
        write_notebook(notebook, out / f"{name}.ipynb")
        print(f"{name}.ipynb", flush=True)


if __name__ == "__main__":
    main()
