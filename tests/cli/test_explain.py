"""What is shown of a score rests on the draws of that score, whatever was drawn before it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import roadanomaly as ra
from roadanomaly.cli import predict, progress
from roadanomaly.cli.progress import View
from roadanomaly.detectors.head import Head
from roadanomaly.evaluation.evaluate import evaluate
from roadanomaly.evaluation.sources import NetworkScores
from tests.contracts import toy
from tests.evaluation.scenes import Scenes, job

DROPOUT = {"passes": 3, "at": "classifier", "rate": 0.5}
SHOWN = "entropy of the mean"


@pytest.fixture
def shown(monkeypatch):
    """Return pairs of what was shown and what was scored, as sheets are drawn."""
    pairs = []

    def sheet(image, found, score, classes):
        pairs.append((found.maps[SHOWN], score))
        return np.zeros((2, 2, 3), np.uint8)

    for room in (predict, progress):
        monkeypatch.setattr(room, "explanation_sheet", sheet)
    return pairs


@pytest.mark.slow
def test_predict_shows_the_draws_of_each_image_and_none_of_another(
    command, shown, photos, tmp_path
):
    torch.manual_seed(0)
    model = ra.Model(ra.segmenter("espnetv2", scale=0.5), ra.detector("mc_dropout", **DROPOUT))
    folder = model.save(tmp_path / "model")
    for out, named in (("all", photos), ("one", photos / "c.jpg")):
        words = ("--out", tmp_path / out, "--explain", "--seed", 3)
        assert command("predict", folder, named, *words)[0] == 0
    assert len(shown) == 4
    for found, score in shown:
        np.testing.assert_array_equal(found, score)
    alone, among = (np.load(tmp_path / out / "c_score.npy") for out in ("one", "all"))
    np.testing.assert_array_equal(alone, among)


def test_evaluate_shows_the_draws_of_each_frame_beside_other_heads_and_threads(shown, tmp_path):
    segmenter = toy.ToySegmenter().eval()
    heads = {}
    for name in ("first", "second"):
        detector = ra.detector("mc_dropout", **DROPOUT)
        detector.attach(segmenter)
        heads[name] = Head(detector.eval())
    task = job(NetworkScores(segmenter, heads), Scenes(5), batch=2)
    view, scores = View(task, tmp_path), {}

    def seen(number, frame, found):
        scores[number] = found
        view.draw(number, frame, found)

    evaluate(task, seen=seen)
    assert len(shown) == 10
    for found, score in shown:
        np.testing.assert_array_equal(found, score)
    assert all(np.array_equal(one["first"], one["second"]) for one in scores.values())
    assert not np.array_equal(scores[0]["first"], scores[1]["first"])
