"""A page for each detector, made from its class: idea, formula, source, what it asks and costs."""

from __future__ import annotations

import csv
import re
from functools import cache
from pathlib import Path

import yaml

from pages.writing import write_pages
from roadanomaly.detectors import DETECTORS, Detector

ROOT = Path(__file__).parents[2]
BOARD = ROOT / "configs" / "leaderboard_roadanomaly.yaml"
PUBLISHED = ROOT / "roadanomaly" / "report" / "published.csv"
COLUMNS = {
    "set": "set",
    "split": "split",
    "method": "as",
    "outlier_data": "outlier data",
    "ap": "AP",
    "fpr95": "FPR95",
    "f1": "mean F1",
    "source": "read in",
}
KINDS = {
    "posthoc": "nothing: it reads what the segmenter says",
    "fit": "statistics of ordinary frames (`roadanomaly fit`)",
    "train": "its own networks, on a segmenter that stays as it is (`roadanomaly train`)",
    "finetune": "together with the segmenter, whose parameters move (`roadanomaly train`)",
}
ASKS = {
    "answer": "one pass, whose answer it changes or adds to",
    "passes": "several passes over the image",
    "gradients": "a gradient of the image",
    "modes": "layers in training mode",
}
TEXT = (
    "One page for each detector of the catalogue, made from its code. What we measured is under "
    "[Numbers](../../numbers.md)."
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
    """Return what papers and READMEs report of a detector, as a table; empty where nothing is."""
    names = {_plain(name), _plain(_board().get(name, {}).get("published", ""))}
    rows = [row for row in _rows(PUBLISHED) if _plain(row["method"].split(",")[0]) in names]
    return f"What is published of it, not measured by us:\n\n{_table(rows)}\n" if rows else ""


def _plain(name: str) -> str:
    """Return letters and digits alone, without a network's name after the method's.

    >>> _plain("RbA Swin-L"), _plain("Max logit")
    ('rba', 'maxlogit')
    """
    return re.sub(r"[^a-z0-9]", "", re.sub(r" (Swin|DINO|Mask2Former).*", "", name).lower())


@cache
def _board() -> dict[str, dict[str, str]]:
    """Return the rows of the leaderboard, which know how tables of others call a method."""
    return yaml.safe_load(BOARD.read_text(encoding="utf-8"))["rows"]


def _table(rows: list[dict[str, str]]) -> str:
    lines = ["| " + " | ".join(COLUMNS.values()) + " |", "|" + " --- |" * len(COLUMNS)]
    lines += ["| " + " | ".join(row[key] or "–" for key in COLUMNS) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _uses(recipe: Path, name: str) -> bool:
    part = yaml.safe_load(recipe.read_text(encoding="utf-8")).get("detector") or {}
    return part.get("name") == name
