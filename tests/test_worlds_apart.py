"""Held-out worlds, the recipes that they judge, and the demonstration share nothing.

The recipes are `configs/models/*.yaml` but `worlds.yaml`, by which they are chosen, and
`worlds_seeds.yaml`, by which one of their seeds is; the demonstration's are
`configs/streets_*.yaml`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from roadanomaly.catalogue import Catalogue
from roadanomaly.cli.demo import STREETS_TEST
from roadanomaly.cli.worlds_scored import CONFIG
from roadanomaly.data import DATASETS
from roadanomaly.data.streets import Streets
from roadanomaly.evaluation.worlds import read_worlds
from roadanomaly.negatives import NEGATIVES

FOLDER = Path(__file__).parents[1] / "configs"
WORLDS = FOLDER / "models" / "worlds.yaml"
SEEDS = FOLDER / "models" / "worlds_seeds.yaml"
BOTH = pytest.mark.parametrize("chosen_by", [WORLDS, SEEDS], ids=lambda path: path.stem)
RECIPES = sorted(set((FOLDER / "models").glob("*.yaml")) - {WORLDS, SEEDS})
DERIVED = {1, 2, 4, 5}
"""COCO's numbers of the licences that allow derived works; 3 and 6 do not."""
DEMO = [STREETS_TEST, *(yaml.safe_load(p.read_text()) for p in FOLDER.glob("streets_*.yaml"))]


def parts(held: Any, name: str) -> Iterator[dict[str, Any]]:
    """Find every `{name: <name>, ...}` in a config, however deep."""
    if isinstance(held, dict):
        if held.get("name") == name:
            yield held
        held = list(held.values())
    if isinstance(held, list):
        for one in held:
            yield from parts(one, name)


def streets(held: Any) -> list[Streets]:
    return [DATASETS.from_spec(one) for one in parts(held, "streets")]


def seeds(sets: list[Streets]) -> set[int]:
    return {one.seed for one in sets}


def kinds(sets: list[Streets]) -> set[str]:
    return {kind for one in sets for kind in one.kinds}


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def learned(recipe: dict[str, Any]) -> list[Any]:
    """Return what a recipe learns from."""
    return [recipe.get(key) for key in ("train_data", "negatives")]


def test_the_default_config_is_this_one_and_can_be_read():
    assert CONFIG.resolve() == WORLDS.resolve()
    assert read_worlds(WORLDS)


@pytest.mark.parametrize("name", [*read_worlds(WORLDS), *read_worlds(SEEDS)])
def test_a_world_names_what_there_is(name):
    options = {**read_worlds(WORLDS), **read_worlds(SEEDS)}[name]
    catalogues: dict[str, Catalogue] = {"data": DATASETS, "negatives": NEGATIVES}
    for key, catalogue in catalogues.items():
        part = dict(options.get(key) or {})
        if part and part["name"] not in catalogue:
            assert options["missing"] == "skip"
        elif part:
            label = part.pop("name")
            catalogue.check_options(label, part)
            catalogue.check_types(label, part)


@pytest.mark.parametrize("path", [WORLDS, SEEDS, *RECIPES], ids=lambda path: path.stem)
def test_no_world_and_no_recipe_knows_the_streets_of_the_demonstration(path):
    ours, demo = streets(read(path)), streets(DEMO)
    shown = streets(STREETS_TEST)
    assert kinds(shown)
    assert not seeds(ours) & seeds(demo), "take a `seed` that the demonstration does not use"
    assert not kinds(ours) & kinds(shown), "name `kinds` that the demonstration is not scored on"


@BOTH
def test_the_worlds_have_streets_to_keep_apart(chosen_by):
    assert len(streets(read(chosen_by))) == 2
    assert kinds(streets(read(chosen_by)))


def test_seeds_are_chosen_by_frames_that_chose_no_recipe():
    ours, theirs = read(SEEDS), read(WORLDS)
    assert not set(ours) & set(theirs)
    assert not seeds(streets(ours)) & seeds(streets(theirs))
    assert not kinds(streets(ours)) & kinds(streets(theirs))
    taken = {str(one["data"]): one["frames"] for one in theirs.values() if "frames" in one}
    for name, world in ours.items():
        if world["data"]["name"] != "streets":
            assert (world["others"], world["frames"]) == (True, taken[str(world["data"])]), name


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_learns_from_no_picture_that_forbids_derived_works(path):
    ours = [
        one
        for name in ("paste", "coco_scenes")
        for one in parts(learned(read(path)), name)
        if "coco_more" in str(one.get("root", "coco_more"))
    ]
    assert ours
    assert all(set(one["licences"]) <= DERIVED for one in ours)


@BOTH
@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_learns_from_no_world(path, chosen_by):
    recipe, worlds = read(path), read(chosen_by)
    ours, theirs = streets(recipe), streets(worlds)
    assert not seeds(ours) & seeds(theirs)
    assert not kinds(ours) & kinds(theirs)
    pasted = {one.get("root", "coco128seg") for one in parts(worlds, "paste")}
    assert not {one.get("root", "coco128seg") for one in parts(learned(recipe), "paste")} & pasted
    for one in parts(learned(recipe), "camvid"):
        assert one.get("split", "train") != "val"
    held_out = {one["images"]: one.get("part", "all") for one in parts(worlds, "folder")}
    for one in parts(learned(recipe), "folder"):
        same = [folder for folder in held_out if folder in str(one.get("images", one.get("root")))]
        assert all((held_out[f], one.get("part")) == ("held_out", "train") for f in same), one
    scenes = {one.get("root", "coco_more") for one in parts(worlds, "coco_scenes")}
    assert (
        not {one.get("root", "coco_more") for one in parts(learned(recipe), "coco_scenes")} & scenes
    )
