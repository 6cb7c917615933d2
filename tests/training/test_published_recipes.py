"""The published recipes, made tiny, run from the command line to a saved model."""

from __future__ import annotations

import json
import re

import pytest
import torch
import yaml

import roadanomaly
from roadanomaly.cli.main import main
from roadanomaly.flows.store import load_flow
from roadanomaly.generators.store import load_generator
from tests import published

GREY = torch.full((1, 3, 16, 16), 0.5)
FACTS = ("Source: ", "Expected", "Data: ", "Cost (estimate, not measured): ", "Differs: ")


@pytest.mark.parametrize("path", published.RECIPES, ids=lambda path: path.stem)
def test_the_header_says_where_it_comes_from_and_what_it_needs(path):
    header = [line for line in path.read_text().splitlines() if line.startswith("#")]
    for fact in FACTS:
        assert any(line.startswith(f"# {fact}") for line in header), fact
    text = " ".join(line.lstrip("# ") for line in header)
    expected = re.search(r"Expected.*?Data:", text)
    assert expected
    assert re.search(r"not ours|unverified", expected[0])


def test_the_table_has_a_row_for_every_recipe():
    page = (published.FOLDER.parents[1] / "docs" / "reproduce.md").read_text()
    rows = set(re.findall(r"`configs/published/([a-z0-9_]+)\.yaml`", page))
    assert rows == {path.stem for path in published.RECIPES}


@pytest.mark.slow
@pytest.mark.parametrize("path", published.RECIPES, ids=lambda path: path.stem)
def test_a_recipe_runs_to_a_model_that_scores(path, tmp_path):
    config = published.tiny(path, tmp_path)
    file = tmp_path / "recipe.yaml"
    file.write_text(yaml.safe_dump(config))
    kinds = {"data": ["fit"], "flow": ["flow", "train"], "generator": ["train", "generator"]}
    command = next((words for key, words in kinds.items() if key in config), ["train"])
    assert main([*command, str(file)]) == 0
    if command != ["fit"]:
        record = json.loads((tmp_path / path.stem / "record.json").read_text())
        assert record["config"]["steps"] == 2
    if "flow" in config:
        assert load_flow(str(tmp_path / path.stem)).log_prob(GREY).isfinite().all()
        return
    if "generator" in config:
        drawn = load_generator(str(tmp_path / path.stem))(torch.zeros(1, 32, 32, dtype=torch.int64))
        assert drawn.isfinite().all()
        return
    model = roadanomaly.load(str(tmp_path / path.stem))
    score = model(torch.randint(0, 256, (3, 56, 56), dtype=torch.uint8)).score
    assert torch.as_tensor(score).isfinite().all()
