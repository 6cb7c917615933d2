"""A page for each further catalogue: what a config can name, and the options of each."""

from __future__ import annotations

from pathlib import Path

from pages.writing import write_pages
from roadanomaly.cli.list import CATALOGUES, catalogue_of
from roadanomaly.refiners import REFINERS

KINDS = {
    **{title: catalogue_of(title) for title in CATALOGUES if title != "detectors"},
    "refiners": REFINERS,
}
TEXT = (
    "Everything else that a config names: `segmenter: {name: espnetv2, scale: 2.0}`. An entry's "
    "options are the arguments of its class. [Methods](../methods/index.md) has the detectors."
)


def write(folder: Path) -> None:
    """Write the pages."""
    pages = {}
    for title, catalogue in KINDS.items():
        lines = [f"# {title.capitalize()}\n"]
        for name in catalogue:
            place = catalogue.entries[name].replace(":", ".")
            lines.append(
                f"## {name}\n\n```{{eval-rst}}\n.. autoclass:: {place}\n   :no-members:\n```\n"
            )
        pages[title] = "\n".join(lines)
    write_pages(folder, "Parts", TEXT, pages)
