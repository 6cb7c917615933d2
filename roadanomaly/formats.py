"""What earlier versions wrote, brought to what this one reads."""

from __future__ import annotations

from typing import Any

FORMAT = 2
"""Of `model.json`. 1 is that of version 0.1."""

RETIRED = {"embedding_density": ("epochs",)}
"""Options of detectors that mean nothing any more."""

FLAGS = ("trained", "fitted")
"""What the state "has been prepared" was called by each detector in format 1."""


def upgrade_model(
    description: dict[str, Any], weights: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a saved model's description and weights in today's format.

    Raises:
        ValueError: a format that this version does not read.
    """
    found = description["format"]
    if found not in (1, FORMAT):
        msg = f"its format is {found!r}, and this version reads 1 and {FORMAT}"
        raise ValueError(msg)
    if found == FORMAT:
        return description, weights
    return {**upgrade_recipe(description), "format": FORMAT}, upgrade_weights(weights)


def upgrade_recipe(recipe: dict[str, Any]) -> dict[str, Any]:
    """Return a model's description or a run's config with today's options of its detector.

    DenseHybrid's `smooth` became a refiner.
    """
    if recipe.get("detector") is None:
        return {"refiners": [], **recipe}
    detector = dict(recipe["detector"])
    for option in RETIRED.get(detector.get("name", ""), ()):
        detector.pop(option, None)
    recipe = {**recipe, "detector": detector}
    if detector.get("name") != "densehybrid" or "smooth" not in detector:
        return {"refiners": [], **recipe}
    window = detector.pop("smooth")
    refiners = [{"name": "smooth", "window": window}] if window != 1 else []
    return {**recipe, "detector": detector, "refiners": [*refiners, *recipe.get("refiners", [])]}


def upgrade_checkpoint(state: dict[str, Any]) -> dict[str, Any]:
    """Return a run's checkpoint with today's names of its weights; one of today stays as it is."""
    average = state["average"]
    if average is not None:
        average = {**average, "state": upgrade_weights(average["state"])}
    return {**state, "networks": upgrade_weights(state["networks"]), "average": average}


def upgrade_weights(weights: dict[str, Any], prefix: str = "detector.") -> dict[str, Any]:
    """Return the state of a detector in which "has been prepared" has one name for all.

    Args:
        weights: by name; those of a detector begin with `prefix`.
        prefix: as in a model's or a checkpoint's networks.
    """
    renamed = {}
    for key, value in weights.items():
        own = key.removeprefix(prefix)
        flag = key.startswith(prefix) and own in FLAGS
        renamed[f"{prefix}ready" if flag else key] = value
        if (
            key == f"{prefix}present" and f"{prefix}ready" not in weights
        ):  # of `mahalanobis`, which kept no flag
            renamed[f"{prefix}ready"] = value.any()
    return renamed
