"""The benchmark of `default`'s parts writes recipes that can be trained, each with one change."""

from __future__ import annotations

import pytest
import yaml

from roadanomaly.cli.parsing import new_parser
from roadanomaly.cli.runs import add_keys, parse_run
from roadanomaly.detectors import DETECTORS
from roadanomaly.negatives import NEGATIVES
from roadanomaly.segmenters import SEGMENTERS
from roadanomaly.training.config import TrainConfig

CHANGED = {
    "all": set(),
    "no_scenes": {"train_data"},
    "no_cutouts": {"negatives"},
    "no_teacher": {"teacher", "distill"},
    "agreeing": {"teacher_agrees"},
    "unlabelled": {"teacher_agrees", "teach"},
    "known": {"negatives"},
    "many_small": {"negatives"},
    "on_ground": {"negatives"},
    "shadows": {"negatives"},
    "streets": {"train_data"},
    "slow_encoder": {"encoder_lr"},
    "espnetv2": {"segmenter", "detector"},
}


@pytest.fixture(scope="module")
def recipes(written_by):
    return {path.stem: path for path in written_by("ablation").iterdir()}


def test_each_recipe_has_one_change(recipes):
    kept = {name: yaml.safe_load(path.read_text()) for name, path in recipes.items()}
    whole = kept["all"]
    for name, recipe in kept.items():
        keys = {key for key in recipe | whole if recipe.get(key) != whole.get(key)}
        assert keys - {"out"} == CHANGED[name]
    for name in ("no_scenes", "streets"):
        shares = [one["share"] for one in kept[name]["train_data"]["sets"]]
        assert sum(shares) == pytest.approx(1)


def test_cutouts_are_laid_as_the_rows_say(recipes):
    sources = {
        name: yaml.safe_load(recipes[name].read_text())["negatives"]["sources"]
        for name in ("all", "many_small", "on_ground", "shadows")
    }
    assert [one["weight"] for one in sources["many_small"]] == [1.5, 1.5, 1]
    looks = {name: [one["look"] for one in found] for name, found in sources.items()}
    assert looks["many_small"][0]["side"][1] <= looks["many_small"][1]["side"][0]
    assert looks["on_ground"][0] == looks["all"][0] | {"place": "ground", "perspective": 0.5}
    assert looks["shadows"][0] == looks["on_ground"][0] | {"shadow": [0.0, 0.7]}
    assert looks["shadows"][1] == looks["on_ground"][1] == looks["all"][1]


@pytest.mark.parametrize("name", CHANGED)
def test_it_can_be_trained(recipes, name):
    parser = add_keys(new_parser("train", "", ""), TrainConfig)
    config, _ = parse_run(parser, TrainConfig, [str(recipes[name])])
    parts = [(config.detector, DETECTORS), (config.segmenter, SEGMENTERS)]
    parts += [(one, NEGATIVES) for one in config.negatives["sources"]]
    for part, catalogue in parts:
        options = {key: value for key, value in part.items() if key not in ("name", "weight")}
        catalogue.check_options(part["name"], options)
    assert config.steps == 400
    pasted = [one.get("known") for one in config.negatives["sources"] if one["name"] == "paste"]
    usual = {"known": [[0, 3]], "no_cutouts": [], "many_small": [None, None]}
    assert pasted == usual.get(name, [None])
