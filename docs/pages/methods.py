"""A page for each detector, made from its class: idea, formula, source, what it asks and costs."""

from __future__ import annotations

import csv
from pathlib import Path

from pages.writing import write_pages
from roadanomaly.detectors import DETECTORS, Detector

ROOT = Path(__file__).parents[2]
FIGURES = ROOT / "docs" / "methods.csv"
"""Figures of ours: detector, segmenter, set, AP, FPR95, seeds, the page that gives the command."""

PUBLISHED = ROOT / "roadanomaly" / "report" / "published.csv"
KINDS = {
    "posthoc": "nothing: it reads what the segmenter says",
    "fit": "statistics of ordinary frames (`roadanomaly fit`)",
    "train": "its own networks, on a segmenter that stays as it is (`roadanomaly train`)",
    "finetune": "together with the segmenter, whose parameters move (`roadanomaly train`)",
}
ASKS = {
    "passes": "several passes over the image",
    "gradients": "a gradient of the image",
    "modes": "layers in training mode",
}
TEXT = (
    "One page for each detector of the catalogue, made from its code. [Numbers](../../numbers.md) "
    "says how their figures were measured; published ones are the papers'."
)


def write(folder: Path) -> None:
    """Write the pages."""
    pages = {name: page(name, DETECTORS.get(name)) for name in sorted(DETECTORS)}
    write_pages(folder, "Methods", f"{TEXT}\n\n{overview()}", pages)


def overview() -> str:
    """Return the table of all detectors."""
    rows = ["| detector | family | what it learns | source |", "| --- | --- | --- | --- |"]
    for name in sorted(DETECTORS):
        kind = DETECTORS.get(name)
        learns = KINDS[kind.kind].split(":")[0].split(" (")[0]
        rows.append(f"| [`{name}`]({name}.md) | {family(kind)} | {learns} | {kind.paper} |")
    return "\n".join(rows)


def family(kind: type[Detector]) -> str:
    """Return the room that a detector's file lies in, or that it is made of other detectors."""
    parts = kind.__module__.split(".")
    return parts[2] if len(parts) > 3 else "of other detectors"


def page(name: str, kind: type[Detector]) -> str:
    """Return the page of one detector."""
    facts = [
        f"- **Learns**: {KINDS[kind.kind]}.",
        f"- **Reads**: {', '.join(f'`{one}`' for one in kind.accepts)} of the segmenter.",
        f"- **Asks**: {', '.join(ASKS.get(one, one) for one in kind.asks) or 'one pass'}.",
        f"- **Source**: {kind.paper}.",
    ]
    recipes = sorted(path.name for path in (ROOT / "configs").glob("*.yaml") if _uses(path, name))
    if recipes:
        facts.append("- **Recipes**:")
        facts += [f"  - `configs/{one}`" for one in recipes]
    place = f"{kind.__module__}.{kind.__qualname__}"
    return (
        f"# {name}\n\n" + "\n".join(facts) + f"\n\n{figures(name)}\n"
        f"```{{eval-rst}}\n.. autoclass:: {place}\n   :no-members:\n```\n"
    )


def figures(name: str) -> str:
    """Return our figures and the papers' of a detector as tables; empty if there are none."""
    told = ""
    if FIGURES.exists():
        own = [row for row in _rows(FIGURES) if row["detector"] == name]
        if own:
            told += "Ours:\n\n" + _table(own, leave=("detector",)) + "\n"
    return told


def _table(rows: list[dict[str, str]], leave: tuple[str, ...]) -> str:
    keys = [key for key in rows[0] if key not in leave]
    lines = ["| " + " | ".join(keys) + " |", "|" + " --- |" * len(keys)]
    lines += ["| " + " | ".join(row[key] for key in keys) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _uses(recipe: Path, name: str) -> bool:
    text = recipe.read_text(encoding="utf-8")
    return f"detector: {{name: {name}}}" in text or f"detector: {{name: {name}," in text
