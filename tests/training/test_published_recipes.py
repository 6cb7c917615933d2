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
from roadanomaly.weights_hash import weights_hash
from tests import published

GREY = torch.full((1, 3, 16, 16), 0.5)
HOURS = {
    "10 minutes": "minutes",
    "half an hour": "0.5",
    "half an hour to an hour": "0.5 to 1",
}
"""Times that the table says otherwise than a header."""
FACTS = ("Source: ", "Expected", "Data: ", "Cost (estimate, not measured): ", "Differs: ")


every = pytest.mark.parametrize("path", published.RECIPES, ids=lambda path: path.stem)


def header_of(path):
    return [line for line in path.read_text().splitlines() if line.startswith("#")]


def in_one_line(header):
    return " ".join(line.lstrip("# ") for line in header)


@every
def test_the_header_says_where_it_comes_from_and_what_it_needs(path):
    header = header_of(path)
    for fact in FACTS:
        assert any(line.startswith(f"# {fact}") for line in header), fact
    text = in_one_line(header)
    expected = re.search(r"Expected.*?Data:", text)
    assert expected
    assert re.search(r"not ours|unverified", expected[0])


def test_the_table_has_a_row_for_every_recipe():
    page = (published.FOLDER.parents[1] / "docs" / "reproduce.md").read_text()
    rows = set(re.findall(r"`configs/published/([a-z0-9_]+)\.yaml`", page))
    assert rows == {path.stem for path in published.RECIPES}


@every
def test_the_table_has_the_hours_and_the_memory_of_the_header(path):
    page = (published.FOLDER.parents[1] / "docs" / "reproduce.md").read_text()
    row = re.search(rf"\| `configs/published/{path.stem}\.yaml` \|.*\|", page)
    cost = re.search(r"Cost \(.*?\): (.+?) and some (\d+) GB", in_one_line(header_of(path)))
    assert row
    assert cost
    hours, memory = cost.groups()
    cells = [one.strip() for one in row[0].strip("|").split("|")]
    assert cells[-2:] == [HOURS.get(hours) or hours.removesuffix(" hours"), memory]


def run(config, folder):
    """Run a recipe by its command, which is returned."""
    file = folder / "recipe.yaml"
    file.write_text(yaml.safe_dump(config))
    kinds = {"data": ["fit"], "flow": ["flow", "train"], "generator": ["train", "generator"]}
    command = next((words for key, words in kinds.items() if key in config), ["train"])
    assert main([*command, str(file)]) == 0
    return command


def scores(folder):
    """Return the model that a run left, which scores an image."""
    model = roadanomaly.load(str(folder))
    score = model(torch.randint(0, 256, (3, 56, 56), dtype=torch.uint8)).score
    assert torch.as_tensor(score).isfinite().all()
    return model


@pytest.mark.slow
@every
def test_a_recipe_runs_to_a_model_that_scores(path, tmp_path):
    config = published.tiny(path, tmp_path)
    command = run(config, tmp_path)
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
    scores(tmp_path / path.stem)


def run_chain(folder, *names):
    """Run recipes one after the other, each from what the one before left; return the models."""
    models = []
    for name in names:
        run(published.tiny(published.FOLDER / f"{name}.yaml", folder, chained=True), folder)
        models.append(scores(folder / name))
    return models


@pytest.mark.slow
def test_uno_starts_from_the_model_of_eam(tmp_path):
    names = "eam_mask2former_swin_l", "uno_mask2former_swin_l"
    before, after = run_chain(tmp_path, *names)
    record = json.loads((tmp_path / names[1] / "record.json").read_text())
    assert record["start_weights"] == weights_hash(before.segmenter)
    assert weights_hash(after.segmenter) != weights_hash(before.segmenter)


@pytest.mark.slow
def test_atta_takes_over_the_head_and_the_network_of_pebal(tmp_path):
    before, after = run_chain(tmp_path, "pebal_deeplab_wrn38", "atta_pebal_deeplab_wrn38")
    assert weights_hash(after.segmenter) == weights_hash(before.segmenter)
    head = after.detector.head
    assert type(head.detector) is type(before.detector)
    assert weights_hash(head.detector) == weights_hash(before.detector)
    assert [type(one) for one in head.refiners] == [type(one) for one in before.head.refiners]
