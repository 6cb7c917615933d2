"""Figures of a method: ours on drawn streets and on real roads, and what others report of it."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

import yaml

from roadanomaly.detectors import DETECTORS
from roadanomaly.models import folder_of

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "docs" / "methods"
STREETS = PICTURES / "figures.csv"
SCORED = ROOT / "docs" / "scored.csv"
BOARD = ROOT / "configs" / "leaderboard_roadanomaly.yaml"
PUBLISHED = ROOT / "roadanomaly" / "report" / "published.csv"
COMMAND = "python benchmarks/method_pictures.py"

ON_STREETS = {
    "ap": "AP",
    "fpr95": "FPR95",
    "plain_ms": "without, ms",
    "scored_ms": "with it, ms",
    "trained": "parameters trained",
    "steps": "steps",
    "seconds": "making it, s",
    "seed": "seed",
}
ON_ROADS = {
    "set": "set",
    "recipe": "recipe",
    "seed": "seed",
    "chosen_on": "chosen on",
    "ap": "AP",
    "fpr95": "FPR95",
    "auroc": "AUROC",
    "mean_f1": "mean F1",
    "date": "scored",
}
REPORTED = {
    "set": "set",
    "split": "split",
    "method": "as",
    "outlier_data": "outlier data",
    "ap": "AP",
    "fpr95": "FPR95",
    "f1": "mean F1",
    "source": "read in",
}


@cache
def on_streets() -> dict[str, dict[str, str]]:
    """Return the rows of `docs/methods/figures.csv` by method."""
    return {row["method"]: row for row in rows_of(STREETS)} if STREETS.exists() else {}


@cache
def on_roads() -> dict[str, list[dict[str, str]]]:
    """Return the rows of `docs/scored.csv` by the detector that was scored, the newest last."""
    found: dict[str, list[dict[str, str]]] = {}
    for row in rows_of(SCORED):
        found.setdefault(detector_of(row["recipe"]), []).append(row)
    return found


def detector_of(recipe: str) -> str:
    """Return the detector of a line of `docs/scored.csv`, by the first word of its recipe.

    That is a detector's name, a file of `configs/` without its ending, or of `configs/models/`,
    whose model the package holds.

    Raises:
        ValueError: it is neither.

    >>> detector_of("fusion of both (learned)"), detector_of("csflow_camvid (JPEG 92)")
    ('fusion', 'csflow')
    """
    word = re.split(r"[ ,]", recipe)[0].removeprefix("configs/")
    path = ROOT / "configs" / f"{word}.yaml"
    if word in DETECTORS:
        return word
    if path.parent.name == "models":
        described = (folder_of(path.stem) / "model.json").read_text(encoding="utf-8")
        return json.loads(described)["detector"]["name"]
    if not path.exists():
        msg = f"docs/scored.csv: the recipe {recipe!r} begins with no detector and no config."
        raise ValueError(msg)
    return detector_in(path)


@cache
def detector_in(recipe: Path) -> str:
    """Return the detector that a config names; empty where it names none."""
    part = yaml.safe_load(recipe.read_text(encoding="utf-8")).get("detector") or {}
    return part.get("name", "")


def reported(name: str) -> list[dict[str, str]]:
    """Return what papers and READMEs report of a detector."""
    names = {_plain(name), _plain(_board().get(name, {}).get("published", ""))} - {""}
    return [row for row in rows_of(PUBLISHED) if names & _names(row["method"])]


def _names(method: str) -> set[str]:
    """Return what a published row may be called: without what it was trained on or read with.

    >>> sorted(_names("RPL+CoroCL")), sorted(_names("RbA Swin-L, with COCO"))
    (['rpl', 'rplcorocl'], ['rba'])
    """
    first = method.split(",")[0]
    return {_plain(first), _plain(re.split(r"[ +]", first)[0])}


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


def table(columns: Mapping[str, str], rows: Iterable[Mapping[str, str]]) -> str:
    """Return a Markdown table.

    Args:
        columns: key to title.
        rows: of cells by key; an empty cell becomes a dash.
    """
    return lines(list(columns.values()), ([row[key] for key in columns] for row in rows))


def lines(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table of titles and rows of cells."""
    told = ["| " + " | ".join(titles) + " |", "|" + " --- |" * len(titles)]
    told += ["| " + " | ".join(cell or "–" for cell in row) + " |" for row in rows]
    return "\n".join(told) + "\n"


@cache
def rows_of(path: Path) -> tuple[dict[str, str], ...]:
    """Return the rows of a CSV file."""
    with path.open(newline="", encoding="utf-8") as file:
        return tuple(csv.DictReader(file))
