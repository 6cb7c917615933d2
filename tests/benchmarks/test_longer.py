"""The recipes that were tried at full length can be trained, and are what their benchmark says."""

from __future__ import annotations

import pytest
import yaml

from roadanomaly.cli.parsing import new_parser
from roadanomaly.cli.recipes import RECIPES
from roadanomaly.cli.runs import add_keys, parse_run
from roadanomaly.training.config import TrainConfig

STEPS = {"shapes": 1700, "balanced": 1700, "shapes_on": 900, "second_on": 900}
WEIGHTS = {"shapes": [1, 3], "balanced": [1, 1], "shapes_on": [1, 1], "second_on": [1, 1]}


@pytest.fixture(scope="module")
def folder(written_by):
    return written_by("longer")


@pytest.mark.parametrize("name", STEPS)
def test_a_recipe_is_read_as_a_training(folder, name):
    parser = add_keys(new_parser("train", "", ""), TrainConfig)
    config, _ = parse_run(parser, TrainConfig, [str(folder / f"{name}.yaml")])
    sources = config.negatives["sources"]
    assert (config.steps, config.validate_every) == (STEPS[name], STEPS[name])
    assert [one["weight"] for one in sources] == WEIGHTS[name]
    assert sources[0]["known"] == [0, 3]
    assert config.teacher is None
    assert config.balance == (0 if name == "shapes" else 0.5)


def test_what_goes_on_starts_from_a_run_and_goes_half_the_way_back(folder):
    parser = add_keys(new_parser("train", "", ""), TrainConfig)
    read = [
        parse_run(parser, TrainConfig, [str(folder / f"{name}.yaml")])[0]
        for name in ("shapes_on", "second_on")
    ]
    assert [one.start for one in read] == [str(folder / "shapes"), "runs/default_second"]
    assert [one.keep_start for one in read] == [0.5, 0.5]
    assert [one.segmenter or one.detector for one in read] == [None, None]


def test_the_other_third_stage_differs_in_cutouts_and_teacher_alone(folder):
    third, other = (
        yaml.safe_load(path.read_text())
        for path in (RECIPES / "models" / "default.yaml", folder / "third_on_ground.yaml")
    )
    changed = {key for key in third | other if third.get(key) != other.get(key)}
    assert changed == {"negatives", "teach", "out"}
    pasted = [one for one in other["negatives"]["sources"] if one["name"] == "paste"]
    assert [one["look"]["place"] for one in pasted] == ["ground", "ground"]
    assert [one["known"] for one in pasted] == [[0, 3], [0, 3]]
    parser = add_keys(new_parser("train", "", ""), TrainConfig)
    config, _ = parse_run(parser, TrainConfig, [str(folder / "third_on_ground.yaml")])
    assert config.teach == "unlabelled"
