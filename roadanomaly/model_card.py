"""The page beside a model that is passed on: what it is, what it learned from, its terms."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

TERMS = (
    "These weights may be used as the terms of the data sets above allow, of which the narrowest "
    "decides; the licence of roadanomaly's code does not extend to them. A model that comes with "
    "the package is under the LICENSE of the folder that holds it."
)
HALF = ", weights in half precision"
DATA = ("train_data", "fit_data", "negatives", "val_data", "val_negatives", "calibration_data")
"""Parts of a record that name data, in the order in which a reader wants them."""


def data_sets(record: Mapping[str, Any]) -> list[str]:
    """Return what a model learned from and was judged on, a line each, with all that it began with.

    >>> began = {"train_data": {"name": "camvid", "split": "train"}, "seed": 0}
    >>> data_sets({"train_data": {"name": "streets"}, "earlier": began})
    ['train data: streets, camvid train']
    """
    lines = []
    for part in DATA:
        makings = makings_of(record)
        told = list(dict.fromkeys(one for making in makings for one in _named(making.get(part))))
        if told:
            lines.append(f"{part.replace('_', ' ')}: {', '.join(told)}")
    return lines


def makings_of(record: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield a record, and those of the models that it began with, the newest first."""
    making: Any = record
    while isinstance(making, Mapping) and making:
        yield making
        making = making.get("earlier")


def _named(part: Any) -> Iterator[str]:
    if not isinstance(part, Mapping):
        return
    inner = [one for key in ("sets", "sources", "data") for one in _listed(part.get(key))]
    for one in inner:
        yield from _named(one)
    if not inner and isinstance(part.get("name"), str):
        root = part.get("root")
        words = [part["name"], part.get("split") or part.get("part")]
        words.append(f"({root})" if root and root != part["name"] else None)
        yield " ".join(str(word) for word in words if word)


def named_sets(part: Any) -> Iterator[str]:
    """Yield the short names of the data that a part of a record names.

    >>> list(named_sets({"name": "union", "sets": [{"name": "camvid"}, {"name": "streets"}]}))
    ['camvid', 'streets']
    """
    for told in _named(part):
        yield told.split(" ")[0]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value] if isinstance(value, Mapping) else []


def write_card(description: Mapping[str, Any], more: str = "", weights: str = HALF) -> str:
    """Return the page, Markdown.

    Args:
        description: for `model.json`, with its `name`.
        more: Markdown to put behind the first paragraph; its own heading on the licence replaces
            the usual paragraph.
        weights: what is said of them.
    """
    segmenter, detector = description["segmenter"]["name"], description["detector"]["name"]
    parts = [
        f"# {description['name']}",
        f"The detector `{detector}` on the segmenter `{segmenter}`{weights}. "
        "Load with `roadanomaly.load`, or give it to a command as `--model`.",
        more.strip(),
        _threshold(description["calibration"]),
        "## Data",
        "\n".join(f"- {line}" for line in data_sets(description["record"])) or "Not recorded.",
        _figures(description.get("figures", {})),
    ]
    if not _has_terms(more):
        parts += ["## Licence", TERMS]
    parts += ["## Record", f"```json\n{json.dumps(description['record'], indent=1)}\n```"]
    return "\n\n".join(part for part in parts if part) + "\n"


def _has_terms(text: str) -> bool:
    headings = [line.lower() for line in text.splitlines() if line.startswith("#")]
    return any("licence" in line or "license" in line for line in headings)


def _threshold(calibration: Mapping[str, Any] | None) -> str:
    if not calibration:
        return "Not calibrated: it has no threshold."
    named = ", ".join(f"{name} {value:.4g}" for name, value in calibration["sensitivities"].items())
    return (
        f"At most {100 * calibration['rate']:.3g} % of inlier pixels of {calibration['data']} "
        f"exceed the threshold.{f' Sensitivities: {named}.' if named else ''}"
    )


def _figures(figures: Mapping[str, Mapping[str, float]]) -> str:
    if not figures:
        return ""
    names = list(dict.fromkeys(name for found in figures.values() for name in found))
    rows = [["set", *names], ["---"] * (len(names) + 1)]
    for known, found in figures.items():
        rows.append([known, *(f"{found[name]:g}" if name in found else "–" for name in names)])
    return "## Figures\n\n" + "\n".join(f"| {' | '.join(row)} |" for row in rows)
