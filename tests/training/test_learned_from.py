"""What tables say that a model learned from: real negatives and made-up ones are kept apart."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

import roadanomaly
from roadanomaly.errors import OptionError
from roadanomaly.evaluation.sources import NetworkScores
from roadanomaly.model import Model, load
from roadanomaly.report.tables.results import learned_from
from roadanomaly.segmenters.espnetv2 import ESPNetv2
from roadanomaly.training.parts import build_parts
from tests.contracts.toy import ToySegmenter
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


@pytest.mark.parametrize(
    ("network", "head", "words"),
    [
        ("negatives", "synthetic negatives", REAL),
        ("synthetic negatives", "negatives", REAL),
        ("none", "synthetic negatives", SYNTHETIC),
        ("negatives", "none", REAL),
    ],
)
def test_what_network_and_head_learned_from_hide_nothing_of_each_other(network, head, words):
    segmenter = ToySegmenter()
    segmenter.learned_from = network
    model = Model(segmenter, roadanomaly.detector("energy" if head == "none" else "jsrnet"))
    model.detector.trained_on = head
    found = NetworkScores(model.segmenter, {"own": model.head}).supervision["own"]
    assert learned_from(found) == words


@pytest.mark.parametrize("name", ["atta", "views", "ensemble"])
def test_what_a_fit_shows_does_not_hide_what_a_wrapped_head_learned_from(name, tmp_path):
    head = {"detector": {"name": "densehybrid"}, "trained_on": "negatives"}
    options = {"members": [head], "score_by": "scores"} if name == "ensemble" else {"head": head}
    detector = roadanomaly.detector(name, **options)
    detector.trained_on = "synthetic negatives"  # as `fit` says of `--negatives.name noise`
    model = Model(roadanomaly.segmenter("espnetv2", scale=0.5), detector)
    detector.ready = True
    model.save(tmp_path / "model")
    assert said(tmp_path / "model")[0] == REAL


@pytest.mark.slow
def test_a_network_that_saw_negatives_keeps_them_when_it_goes_on_with_made_up_ones(tmp_path):
    parts = build_parts(runs.config(tmp_path))
    parts.model.segmenter.learned_from = "negatives"
    parts.model.detector.ready = True
    parts.model.save(tmp_path / "model")
    started = build_parts(runs.config(tmp_path, start=str(tmp_path / "model"), segmenter=None))
    assert started.model.detector.learned_from == "synthetic negatives"
    assert started.model.segmenter.learned_from == "negatives"


@pytest.mark.slow
def test_a_detector_that_goes_on_keeps_the_real_negatives_of_its_start(tmp_path, textures):
    """Beside a frozen segmenter, which does not say it in its place."""
    real = {**runs.SHAPES, "textures": textures}
    about = {"detector": {"name": "jsrnet"}, "val_negatives": None}
    parts = build_parts(runs.config(tmp_path, negatives=real, **about))
    parts.model.detector.ready = True
    parts.model.save(tmp_path / "model")
    start = {"segmenter": None, "detector": None, "start": str(tmp_path / "model")}
    onwards = build_parts(runs.config(tmp_path, **start, val_negatives=None)).model
    assert onwards.detector.learned_from == "negatives"


def test_nothing_to_learn_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(ESPNetv2, "trainable", False)
    with pytest.raises(OptionError, match="nothing would learn: `espnetv2` cannot be trained"):
        build_parts(runs.config(tmp_path, detector={"name": "energy"}))
