"""Published recipes made tiny: the same parts and losses, of small networks on made-up files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from roadanomaly.data.class_names import CITYSCAPES
from roadanomaly.segmenters import SEGMENTERS
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
GENERATORS = {
    "pix2pixhd": {"width": 4, "downs": 2, "blocks": 1},
    "spade": {"width": 4, "ups": 3, "middle": 0, "hidden": 4},
}
GENERATOR_CUT = {**CUT, "scale": [1.0, 1.0], "judge_size": None, "discriminator_width": 4}
CUTS = {"data": FIT_CUT, "flow": FLOW_CUT, "generator": GENERATOR_CUT}
"""What a recipe names, to what makes it short; any other trains a detector."""
NARROW = {"size": [32, 64], "generator_size": [32, 64], "passes": 2}
NARROW |= dict.fromkeys(("width", "hidden", "vectors", "embedding_width"), 8)
OBJECTS = {"coco": labelled_layouts.coco, "ADEChallengeData2016": labelled_layouts.ade20k}


def tiny(path: Path, folder: Path, *, chained: bool = False) -> dict[str, Any]:
    """Return a recipe that any machine can run in seconds.

    Widths, crops, steps and batches shrink; weights are random, and a model of the hub is one in a
    folder; data sets and negatives are made up in their official layouts below `folder`, whose
    name a run keeps.

    Args:
        path: of the recipe.
        folder: that holds the files and the run.
        chained: begin with the model that a tiny run of the recipe before left in `folder`, where
            else its network and its head are made anew.
    """
    keys = yaml.safe_load(path.read_text())
    small = dict(keys)
    for key in ("start", "run"):
        if key in keys and chained:
            small[key] = _made(keys[key], folder)
        elif key in keys:
            small["segmenter"] = recipe_of(small.pop(key))["segmenter"]
    if "flow" in keys:
        small["flow"] = _flow(keys["flow"])
    elif "generator" in keys:
        small["generator"] = _generator(keys["generator"])
        small["encoder"] = _encoder(keys["encoder"])
        small["judge"] = _network(keys["judge"], folder)
    else:
        if "segmenter" in small:
            small["segmenter"] = _network(small["segmenter"], folder)
        small["detector"] = _narrow(small["detector"], folder if chained else None)
    for key in ("train_data", "val_data", "data", "calibration_data"):
        if key in keys:
            small[key] = _data(keys[key], folder)
    for key in ("negatives", "val_negatives"):
        if key in keys:
            small[key] = _source(keys[key], folder)
    cut = next((cut for key, cut in CUTS.items() if key in keys), CUT)
    return {**small, **cut, "out": str(folder / path.stem)}


def _made(run: str, folder: Path) -> str:
    """Return where the tiny run of a recipe lies, by the folder that the recipe names."""
    return str(folder / Path(run).name)


def recipe_of(run: str) -> dict[str, Any]:
    """Return the recipe that makes a run folder."""
    recipe: dict[str, Any] = yaml.safe_load((FOLDER / f"{Path(run).name}.yaml").read_text())
    return recipe


def _flow(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return the flow with one narrow module."""
    return {**spec, **FLOW}


def _network(spec: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return the small network of the same kind, with the options that are not of its size."""
    if "model" in spec:
        return {**spec, "model": str(_saved(spec["model"], folder))}
    fetched = ("weights", "encoder_weights")
    options = {key: value for key, value in spec.items() if key not in fetched}
    small = NETWORKS[spec["name"]].options
    assert isinstance(small, dict)
    return {**options, **small}


def _saved(model: str, folder: Path) -> Path:
    """Write a small network of a model's kind as the hub holds it: a backbone knows no classes."""
    kind = next(kind for part, kind in HUB.items() if part in model)
    place = folder / model
    options = NETWORKS[f"transformers {kind}"].options
    assert isinstance(options, dict)
    whole = SEGMENTERS.build("transformers", {**options, "classes": CITYSCAPES})
    network = getattr(whole.network, "backbone", whole.network)
    if network is whole.network:
        network.config.id2label = dict(enumerate(CITYSCAPES))
    network.save_pretrained(place)
    return place


def _generator(spec: Mapping[str, Any]) -> dict[str, Any]:
    return {**spec, **GENERATORS[spec["name"]]}


def _encoder(spec: Mapping[str, Any]) -> dict[str, Any]:
    return {**spec, "weights": "none"}


def _narrow(spec: Mapping[str, Any], made: Path | None = None) -> dict[str, Any]:
    """Return a detector with layers of 8 channels, of a block that small transformers have.

    What it takes from another run is made anew: a generator, or for a head the energy.

    Args:
        spec: of the detector.
        made: folder of tiny runs, of which its head is then taken.
    """
    narrow: dict[str, Any] = dict(spec)
    for key in NARROW.keys() & spec.keys():
        wide = isinstance(spec[key], list) and isinstance(NARROW[key], int)
        narrow[key] = [NARROW[key] for _ in spec[key]] if wide else NARROW[key]
    if "feature" in spec:
        narrow["feature"] = _shallow(spec["feature"])
    if "features" in spec:
        narrow["features"] = [_shallow(one) for one in spec["features"]]
    for key in ("encoder", "perceptual"):
        if key in spec:
            narrow[key] = _encoder(spec[key])
    if "start" in spec:
        narrow["generator"] = _generator(recipe_of(narrow.pop("start"))["generator"])
    if "head" in spec and made:
        narrow["head"] = {"run": _made(spec["head"]["run"], made)}
    elif "head" in spec:
        refiners = recipe_of(spec["head"]["run"])["refiners"]
        narrow["head"] = {"detector": {"name": "energy"}, "refiners": refiners}
    return narrow


def _shallow(feature: str) -> str:
    """Return the map of the same kind of the small transformers' last block."""
    return re.sub(r"^(block|keys)\d+$", rf"\g<1>{BLOCK}", feature)


def _data(spec: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    if "sets" in spec:
        return {**spec, "sets": [_data(one, folder) for one in spec["sets"]]}
    root = folder / spec["name"]
    if not root.is_dir():
        _make_set(spec["name"], root)
    return {**spec, "root": str(root)}


def _make_set(name: str, root: Path) -> None:
    getattr(labelled_layouts if name == "bdd100k" else layouts, name)(root)
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
