"""The pages of the detectors: what each shows, and where its figures come from."""

from __future__ import annotations

import csv
import doctest
import re
from pathlib import Path

import pytest

from roadanomaly.detectors import DETECTORS
from roadanomaly.detectors.base import Kind

DOCS = Path(__file__).parents[2] / "docs"
IMAGE = re.compile(r"!\[([^\]]*)\]\(([^)]+)\)")


@pytest.fixture
def methods(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS))
    from pages import methods

    return methods


@pytest.fixture
def figures(methods):
    return methods.figures


@pytest.mark.slow
def test_every_page_shows_a_picture_or_says_why_not(methods):
    for name in DETECTORS:
        page = methods.page(name, DETECTORS.get(name))
        images = IMAGE.findall(page)
        assert len(images) == 3 or "It has no picture:" in page, name
        for text, target in images:
            assert len(text) > 20, name
            assert (DOCS / "made" / "methods" / target).resolve().exists(), target
        for heading in ("What its scores look like", "Our figures", "What is published of it"):
            assert f"\n## {heading}\n" in page, name
        assert "- **Learns from**: " in page, name


@pytest.mark.slow
def test_every_score_is_said_in_words_or_a_formula(methods):
    for name in DETECTORS:
        told = methods.formula(DETECTORS.get(name))
        assert len(told) > 5, name
        assert "(B, H, W)`" not in told, name


@pytest.mark.slow
def test_the_overview_has_a_line_a_detector(methods):
    lines = [line for line in methods.overview().splitlines() if line.startswith("| [`")]
    assert [line.split("`")[1] for line in lines] == sorted(DETECTORS)
    assert len({line.replace("\\|", "").count("|") for line in lines}) == 1


def test_every_scoring_of_a_real_set_is_some_detectors(figures):
    with (DOCS / "scored.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    found = figures.on_roads()
    assert sum(len(lines) for lines in found.values()) == len(rows)
    assert set(found) <= set(DETECTORS)


def test_a_scoring_of_nothing_known_is_refused(figures):
    with pytest.raises(ValueError, match="no_such_recipe"):
        figures.detector_of("no_such_recipe (JPEG)")


def test_the_examples_in_the_docstrings_hold(figures):
    assert doctest.testmod(figures).failed == 0


def test_published_rows_are_found_under_their_longer_names(figures):
    assert {"UEM D-D", "UEM G-G"} <= {row["method"] for row in figures.reported("uem")}
    assert any("+" in row["method"] for row in figures.reported("rpl"))
    assert figures.reported("views") == []


@pytest.mark.slow
def test_every_kind_and_ask_has_words(methods):
    assert set(methods.KINDS) == set(Kind.__args__)
    asked = {one for name in DETECTORS for one in DETECTORS.get(name).asks if isinstance(one, str)}
    assert asked <= set(methods.ASKS)
