"""The page of a model on the Hugging Face hub: front matter that the hub reads, then the card."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from roadanomaly.model_card import DATA, makings_of, named_sets, write_card

METRICS = {"AP": "average_precision", "AUROC": "roc_auc", "mean F1": "f1"}
"""Names of figures to the hub's; others keep theirs in lower case."""


def hub_card(description: Mapping[str, Any], licence: str) -> str:
    """Return `README.md` of a repository.

    Args:
        description: for `model.json`, with `name`, `record` and, where measured, `figures`.
        licence: the hub's word for it, such as `apache-2.0`; `other` refers to the page.
    """
    matter = yaml.safe_dump(_matter(description, licence), sort_keys=False, allow_unicode=True)
    return f"---\n{matter}---\n\n{write_card(description, weights='')}"


def _matter(description: Mapping[str, Any], licence: str) -> dict[str, Any]:
    matter: dict[str, Any] = {"license": licence}
    if licence == "other":
        matter["license_name"] = "as-its-data-allows"
    matter |= {
        "library_name": "roadanomaly",
        "pipeline_tag": "image-segmentation",
        "tags": ["anomaly-segmentation", "road-scenes", description["detector"]["name"]],
    }
    record = description["record"]
    learned = [
        name
        for part in DATA
        for making in makings_of(record)
        for name in named_sets(making.get(part))
    ]
    if learned:
        matter["datasets"] = list(dict.fromkeys(learned))
    if results := list(_results(description.get("figures", {}))):
        found = [one["type"] for result in results for one in result["metrics"]]
        matter["metrics"] = list(dict.fromkeys(found))
        matter["model-index"] = [{"name": description["name"], "results": results}]
    return matter


def _results(figures: Mapping[str, Mapping[str, float]]) -> Iterator[dict[str, Any]]:
    for known, found in figures.items():
        yield {
            "task": {"type": "image-segmentation", "name": "Road-anomaly segmentation"},
            "dataset": {"type": known.split(",")[0].strip().lower(), "name": known},
            "metrics": [
                {"type": METRICS.get(name, name.lower()), "name": name, "value": float(value)}
                for name, value in found.items()
            ],
        }
