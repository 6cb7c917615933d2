"""A page for each command: what its `--help` says."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import redirect_stdout, suppress
from io import StringIO
from pathlib import Path

from pages.writing import write_pages
from roadanomaly.cli.main import COMMANDS, main

FURTHER = {
    "train": ("train generator",),
    "flow": ("flow train", "flow sample"),
    "export": ("export model", "export submission"),
}
"""Commands of two words, by their first."""

WIDTH = "96"
TEXT = "Each page is what `roadanomaly COMMAND --help` prints."


def spoken(words: str) -> str:
    """Return the help of a command."""
    told = StringIO()
    with redirect_stdout(told), suppress(SystemExit):
        main([*words.split(), "--help"])
    return told.getvalue().rstrip()


def helps(name: str) -> Iterator[tuple[str, str]]:
    """Yield a command's own help, and that of each command that begins with its name."""
    for words in (name, *FURTHER.get(name, ())):
        yield words, spoken(words)


def write(folder: Path) -> None:
    """Write the pages."""
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = WIDTH
    try:
        pages = {name: _page(name, text) for name, text in COMMANDS.items()}
    finally:
        if before is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = before
    write_pages(folder, "Commands", TEXT, pages)


def _page(name: str, text: str) -> str:
    blocks = [f"# {name}\n\n{text[0].upper()}{text[1:]}.\n"]
    for words, told in helps(name):
        heading = "" if words == name else f"\n## {words}\n"
        blocks.append(f"{heading}\n```text\n{told}\n```\n")
    return "".join(blocks)
