"""What tables say that a model learned from: real negatives and made-up ones are kept apart."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from roadanomaly.evaluation.sources import NetworkScores
from roadanomaly.model import load
from roadanomaly.report.tables.results import learned_from
from roadanomaly.training.parts import build_parts
from tests.training import runs

FLOW = {"name": "flow", "flow": {"name": "glow", "levels": 1, "steps": 1, "hidden": 4}}
SYNTHETIC = "inliers, synthetic negatives"
REAL = "inliers, negatives"


def said(folder):
    model = load(folder)
    scores = NetworkScores(model.segmenter, {"own": model.head})
    return learned_from(scores.supervision["own"]), learned_from(model.segmenter.learned_from)


@pytest.fixture
def textures(tmp_path):
    folder = tmp_path / "textures"
    folder.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    assert cv2.imwrite(str(folder / "a.png"), noise)
    return str(folder)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("negatives", "words"),
    [
        (lambda _: runs.SHAPES, SYNTHETIC),
        (lambda _: {"name": "noise"}, SYNTHETIC),
        (lambda _: FLOW, SYNTHETIC),
        (lambda root: {**runs.SHAPES, "textures": root}, REAL),
        (lambda _: {"name": "mixture", "sources": [FLOW, runs.SHAPES]}, SYNTHETIC),
        (
            lambda root: {
                "name": "mixture",
                "sources": [FLOW, {**runs.SHAPES, "textures": root}],
            },
            REAL,
        ),
    ],
)
def test_a_saved_model_says_which_negatives(tmp_path, textures, negatives, words):
    parts = build_parts(runs.config(tmp_path, negatives=negatives(textures)))
    parts.model.detector.ready = True
    parts.model.save(tmp_path / "model")
    assert said(tmp_path / "model") == (words, words)


def test_a_model_that_was_saved_before_this_was_known_counts_as_real(tmp_path):
    parts = build_parts(runs.config(tmp_path))
    parts.model.save(tmp_path / "model")
    path = tmp_path / "model" / "model.json"
    older = json.loads(path.read_text())
    del older["detector_trained_on"]
    older["segmenter_learned_from"] = "negatives"
    path.write_text(json.dumps(older))
    assert said(tmp_path / "model") == (REAL, REAL)
