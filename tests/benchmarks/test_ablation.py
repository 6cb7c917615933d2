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
    "known": {"negatives"},
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
    shares = [one["share"] for one in kept["no_scenes"]["train_data"]["sets"]]
    assert sum(shares) == pytest.approx(1)


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
    assert pasted == {"known": [[0, 3]], "no_cutouts": []}.get(name, [None])
