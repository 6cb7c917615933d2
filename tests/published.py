"""Published recipes made tiny: the same parts and losses, of small networks on made-up files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests import labelled_layouts, layouts
from tests.contracts.tiny import NETWORKS

FOLDER = Path(__file__).parents[1] / "configs" / "published"
RECIPES = sorted(FOLDER.glob("*.yaml"))
HUB = {
    "dinov2-with-registers": "dinov2_with_registers",
    "dinov2": "dinov2",
    "eomt": "eomt",
    "mask2former": "mask2former",
}
"""What a model's name on the hub contains, to its kind; the first that fits."""
BLOCK = 1
"""Last block of the small transformers."""
CUT = {
    "crop": [56, 56],
    "scale": [1.0, 2.0],
    "steps": 2,
    "batch_size": 2,
    "accumulate": 1,
    "warmup": 0,
    "val_size": [56, 56],
    "val_frames": 1,
    "validate_every": 0,
    "checkpoint_every": 10,
    "precision": "32-true",
    "accelerator": "cpu",
    "workers": 0,
}
FIT_CUT = {"size": [56, 56]}
FLOW = {"name": "denseflow", "units": [1], "modules": [1], "width": 4, "depth": 1}
FLOW |= {"network_growth": 4}
FLOW_CUT = {key: value for key, value in CUT.items() if not key.startswith("val_")}
FLOW_CUT |= {"crop": [16, 16], "val_crops": 2}
OBJECTS = {"coco": labelled_layouts.coco, "ADEChallengeData2016": labelled_layouts.ade20k}


def tiny(path: Path, folder: Path) -> dict[str, Any]:
    """Return a recipe that any machine can run in seconds.

    Widths, crops, steps and batches shrink; weights are random; data sets and negatives are made
    up in their official layouts below `folder`, whose name a run keeps.

    Args:
        path: of the recipe.
        folder: that holds the files and the run.
    """
    keys = yaml.safe_load(path.read_text())
    small = dict(keys)
    for key in ("start", "run"):
        if key in keys:
            small["segmenter"] = recipe_of(small.pop(key))["segmenter"]
    if "flow" in keys:
        small["flow"] = _flow(keys["flow"])
    else:
        small["segmenter"] = _network(small["segmenter"])
        small["detector"] = _narrow(small["detector"])
    for key in ("train_data", "val_data", "data", "calibration_data"):
        if key in keys:
            small[key] = _data(keys[key], folder)
    for key in ("negatives", "val_negatives"):
        if key in keys:
            small[key] = _source(keys[key], folder)
    cut = next((cut for key, cut in (("data", FIT_CUT), ("flow", FLOW_CUT)) if key in keys), CUT)
    return {**small, **cut, "out": str(folder / path.stem)}


def recipe_of(run: str) -> dict[str, Any]:
    """Return the recipe that makes a run folder."""
    recipe: dict[str, Any] = yaml.safe_load((FOLDER / f"{Path(run).name}.yaml").read_text())
    return recipe


def _flow(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return the flow with one narrow module."""
    return {**spec, **FLOW}


def _network(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return the small network of the same kind, with the options that are not of its size."""
    fetched = ("weights", "model", "encoder_weights")
    options = {key: value for key, value in spec.items() if key not in fetched}
    name = spec["name"]
    if "model" in spec:
        kind = next(kind for part, kind in HUB.items() if part in spec["model"])
        name = f"transformers {kind}"
    small = NETWORKS[name].options
    assert isinstance(small, dict)
    return {**options, **small}


def _narrow(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return a detector with layers of 8 channels, of a block that small transformers have."""
    narrow: dict[str, Any] = dict(spec)
    for key in ("width", "hidden", "vectors"):
        if key in spec:
            narrow[key] = [8 for _ in spec[key]] if isinstance(spec[key], list) else 8
    if str(spec.get("feature", "")).startswith("block"):
        narrow["feature"] = f"block{BLOCK}"
    return narrow


def _data(spec: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    if "sets" in spec:
        return {**spec, "sets": [_data(one, folder) for one in spec["sets"]]}
    root = folder / spec["name"]
    if not root.is_dir():
        _make_set(spec["name"], root)
    return {**spec, "root": str(root)}


def _make_set(name: str, root: Path) -> None:
    getattr(layouts, name)(root)
    if name == "cityscapes":
        for part in ("leftImg8bit", "gtFine"):
            (root / part / "val").symlink_to(root / part / "train")


def _source(spec: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    if "sources" in spec:
        return {**spec, "sources": [_source(one, folder) for one in spec["sources"]]}
    small = dict(spec)
    if "start" in spec:
        small |= {"start": None, "side": [8, 16], "flow": _flow(recipe_of(spec["start"])["flow"])}
    if "root" in spec:
        root = folder / spec["root"]
        if not root.is_dir():
            OBJECTS[spec["root"]](root.parent if spec["root"].startswith("ADE") else root)
        small |= {"root": str(root)}
    if "part" in spec:
        small["part"] = "all"
    if "min_side" in spec or spec["name"] == "whole_pictures":
        small |= {"min_side": 16, "exclude": []}
    if "look" in spec:
        small["look"] = {**spec["look"], "side": [12, 40]}
    return small
