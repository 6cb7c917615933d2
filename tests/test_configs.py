"""Every recipe of `configs/` can be read, and names parts with options that exist."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from roadanomaly.cli.parsing import new_parser
from roadanomaly.cli.runs import read_run
from roadanomaly.data import DATASETS
from roadanomaly.detectors import DETECTORS
from roadanomaly.flows import FLOWS
from roadanomaly.negatives import NEGATIVES
from roadanomaly.segmenters import SEGMENTERS
from roadanomaly.training.config import TrainConfig
from roadanomaly.training.flow_config import FlowConfig

FOLDER = Path(__file__).parents[1] / "configs"
PARTS = {
    "flow": FLOWS,
    "segmenter": SEGMENTERS,
    "detector": DETECTORS,
    "train_data": DATASETS,
    "val_data": DATASETS,
    "negatives": NEGATIVES,
    "val_negatives": NEGATIVES,
}


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_recipe_names_what_there_is(path):
    kind = FlowConfig if "flow" in yaml.safe_load(path.read_text()) else TrainConfig
    config, _ = read_run(new_parser("train", "", ""), kind, [str(path)])
    assert Path(config.out).name == path.stem
    assert path.read_text().startswith("# ")
    for key, catalogue in PARTS.items():
        part = getattr(config, key, None)
        if part is not None:
            options = {option: value for option, value in part.items() if option != "name"}
            catalogue.check_options(part["name"], options)
            catalogue.check_types(part["name"], options)
