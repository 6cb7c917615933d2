"""Every recipe of `configs/` can be read, and names parts with options that exist."""

from __future__ import annotations

from pathlib import Path

import pytest

from roadanomaly.cli.train import read_config
from roadanomaly.data import DATASETS
from roadanomaly.detectors import DETECTORS
from roadanomaly.negatives import NEGATIVES
from roadanomaly.segmenters import SEGMENTERS

FOLDER = Path(__file__).parents[1] / "configs"
PARTS = {
    "segmenter": SEGMENTERS,
    "detector": DETECTORS,
    "train_data": DATASETS,
    "val_data": DATASETS,
    "negatives": NEGATIVES,
    "val_negatives": NEGATIVES,
}


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_recipe_names_what_there_is(path):
    config, _ = read_config([str(path)])
    assert Path(config.out).name == path.stem
    assert path.read_text().startswith("# ")
    for key, catalogue in PARTS.items():
        part = getattr(config, key)
        if part is not None:
            options = {option: value for option, value in part.items() if option != "name"}
            catalogue.check_options(part["name"], options)
            catalogue.check_types(part["name"], options)
