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
    if "start" in keys:
        start = yaml.safe_load((FOLDER / f"{Path(small.pop('start')).name}.yaml").read_text())
        small["segmenter"] = start["segmenter"]
    small["segmenter"] = _network(small["segmenter"])
    small["detector"] = _narrow(small["detector"])
    for key in ("train_data", "val_data", "data", "calibration_data"):
        if key in keys:
            small[key] = _data(keys[key], folder)
    for key in ("negatives", "val_negatives"):
        if key in keys:
            small[key] = _source(keys[key], folder)
    cut = FIT_CUT if "data" in keys else CUT
    return {**small, **cut, "out": str(folder / path.stem)}


def _network(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return the small network of the same kind, with the options that are not of its size."""
    options = {key: value for key, value in spec.items() if key not in ("weights", "model")}
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
