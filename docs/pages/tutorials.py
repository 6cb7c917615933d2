"""The tutorials as pages: cells of the notebooks, with what they printed and drew."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from pages.writing import write_pages

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = ("first_result", "train_and_evaluate", "own_detector")
TEXT = (
    "Each is a notebook in `examples/`, and the same as a plain script beside it. All run without "
    "data, on drawn streets: `python examples/first_result.py`."
)


def write(folder: Path) -> None:
    """Write the pages and their pictures."""
    pages = {}
    for name in NAMES:
        notebook = nbformat.read(EXAMPLES / f"{name}.ipynb", as_version=4)
        pages[name] = "\n\n".join(_blocks(notebook, name, folder)) + "\n"
    write_pages(folder, "Tutorials", TEXT, pages)


def _blocks(notebook: NotebookNode, name: str, folder: Path) -> Iterator[str]:
    folder.mkdir(parents=True, exist_ok=True)
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown":
            yield cell.source
            continue
        yield f"```python\n{cell.source}\n```"
        for place, output in enumerate(cell.outputs):
            yield _shown(output, folder, f"{name}_{number}_{place}.png")


def _shown(output: NotebookNode, folder: Path, picture: str) -> str:
    """Return an output as Markdown; a picture is written beside the page."""
    data = output.get("data", {})
    if "image/png" in data:
        (folder / picture).write_bytes(base64.b64decode(data["image/png"]))
        return f"![What this cell drew]({picture})"
    return f"```text\n{(output.get('text') or data.get('text/plain', '')).rstrip()}\n```"
