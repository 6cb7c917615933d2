"""Every recipe of `configs/` can be read, and names parts with options that exist."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
import yaml

from roadanomaly.cli.parsing import new_parser
from roadanomaly.cli.runs import add_keys, parse_run, read_run
from roadanomaly.data import DATASETS
from roadanomaly.detectors import DETECTORS
from roadanomaly.encoders import ENCODERS
from roadanomaly.flows import FLOWS
from roadanomaly.generators import GENERATORS
from roadanomaly.negatives import NEGATIVES
from roadanomaly.segmenters import SEGMENTERS
from roadanomaly.training.config import TrainConfig
from roadanomaly.training.fit_config import FitConfig
from roadanomaly.training.flow_config import FlowConfig
from roadanomaly.training.generator_config import GeneratorConfig

FOLDER = Path(__file__).parents[1] / "configs"
MODELS = [
    FOLDER / "models" / f"{name}.yaml"
    for name in ("default", "fast", "default_first", "default_second")
]
PARTS = {
    "data": DATASETS,
    "encoder": ENCODERS,
    "flow": FLOWS,
    "generator": GENERATORS,
    "judge": SEGMENTERS,
    "segmenter": SEGMENTERS,
    "detector": DETECTORS,
    "train_data": DATASETS,
    "val_data": DATASETS,
    "negatives": NEGATIVES,
    "val_negatives": NEGATIVES,
    "teacher": SEGMENTERS,
}
KINDS = {"flow": FlowConfig, "generator": GeneratorConfig}
"""Key that only configs of a kind have, to that kind."""


RECIPES = [path for path in sorted(FOLDER.glob("*.yaml")) if "leaderboard" not in path.name]
PUBLISHED = [
    pytest.param(path, marks=pytest.mark.slow, id=path.stem)
    for path in sorted(FOLDER.glob("published/*.yaml"))
]


@cache
def parser_of(kind):
    return add_keys(new_parser("train", "", ""), kind)


@pytest.mark.parametrize("path", [*RECIPES, *MODELS, *PUBLISHED], ids=lambda path: path.stem)
def test_a_recipe_names_what_there_is(path):
    keys = yaml.safe_load(path.read_text())
    kind = next((kind for key, kind in KINDS.items() if key in keys), TrainConfig)
    if "data" in keys:
        config = FitConfig(**keys)
    else:
        config, _ = parse_run(parser_of(kind), kind, [str(path)])
    assert Path(config.out).name == path.stem
    assert path.read_text().startswith("# ")
    for key, catalogue in PARTS.items():
        part = getattr(config, key, None)
        if part is not None:
            options = {option: value for option, value in part.items() if option != "name"}
            catalogue.check_options(part["name"], options)
            catalogue.check_types(part["name"], options)


def test_the_published_size_is_an_option_away():
    words = [str(FOLDER / "spade_camvid.yaml"), "--generator", '{"name": "spade"}']
    config, _ = read_run(new_parser("train generator", "", ""), GeneratorConfig, words)
    assert config.generator == {"name": "spade"}
