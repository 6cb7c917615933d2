"""An evaluation: its numbers are scikit-learn's, its tables carry what they must."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, confusion_matrix, roc_auc_score

import roadanomaly
from roadanomaly.data.base import FrameSet
from roadanomaly.data.class_names import CAMVID, CITYSCAPES
from roadanomaly.errors import DataError
from roadanomaly.evaluation.classes import class_table
from roadanomaly.evaluation.evaluate import evaluate
from roadanomaly.evaluation.spool import ScoreSpool
from roadanomaly.types import Frame
from tests.contracts import toy

DETECTORS = ("energy", "msp")


class Scenes(FrameSet):
    """Stripes of the toy's colours with a dark patch in each frame but the last."""

    source = "made up"
    licence = "none"
    classes = toy.CLASSES

    def __init__(self, count=3, *, labelled=True, classes=toy.CLASSES):
        self.count, self.labelled, self.classes = count, labelled, classes

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        if index >= self.count:
            raise IndexError(index)
        batch = toy.inliers(1, index)
        if index < self.count - 1:
            batch = toy.planted(batch, 0.3)
        image = (batch.image[0] * 255).round().to(torch.uint8)
        return Frame(f"scene_{index}", image, batch.label[0] if self.labelled else None)

    def record(self):
        return {"name": "scenes", "count": self.count}


@pytest.fixture
def segmenter():
    torch.manual_seed(0)
    return toy.ToySegmenter().eval()


def attached(segmenter, names=DETECTORS):
    found = {name: roadanomaly.detector(name) for name in names}
    for detector in found.values():
        detector.attach(segmenter)
    return found


@torch.inference_mode()
def pooled(segmenter, frames, name):
    scores, truths = [], []
    detector = roadanomaly.detector(name)
    for frame in frames:
        image = frame.image[None].float() / 255
        score = detector.score(segmenter(image), image)[0].numpy()
        scores.append(score[frame.truth.numpy() != 255])
        truths.append(frame.truth.numpy()[frame.truth.numpy() != 255])
    return np.concatenate(truths), np.concatenate(scores)


def test_numbers_are_scikit_learn_s(segmenter):
    frames = Scenes()
    found = evaluate(segmenter, attached(segmenter), frames)
    assert [row.detector for row in found.rows] == list(DETECTORS)
    for row in found.rows:
        truth, score = pooled(segmenter, frames, row.detector)
        half = score.astype(np.float16).astype(np.float64)
        assert row.ap_exact == pytest.approx(average_precision_score(truth, score), abs=1e-6)
        assert row.ap == pytest.approx(average_precision_score(truth, half), abs=2e-3)
        assert row.auroc == pytest.approx(roc_auc_score(truth, half), abs=2e-3)
        assert row.supervision == "none"
        assert row.ms > 0


def test_closed_set_numbers_are_those_of_the_confusion_matrix(segmenter):
    frames = Scenes()
    found = evaluate(segmenter, attached(segmenter), frames)
    truth, predicted = [], []
    for frame in frames:
        with torch.inference_mode():
            classes = segmenter(frame.image[None].float() / 255).classes()[0]
        known = frame.label < roadanomaly.NEGATIVE
        truth.append(frame.label[known].numpy())
        predicted.append(classes[known].numpy())
    matrix = confusion_matrix(np.concatenate(truth), np.concatenate(predicted), labels=range(3))
    iou = np.diag(matrix) / (matrix.sum(0) + matrix.sum(1) - np.diag(matrix))
    assert list(found.iou.values()) == pytest.approx(iou.tolist())
    assert found.miou == pytest.approx(iou.mean())


def test_every_frame_is_seen_with_its_scores(segmenter):
    seen = {}
    evaluate(
        segmenter,
        attached(segmenter),
        Scenes(),
        seen=lambda frame, scores: seen.update({frame.id: scores}),
    )
    assert list(seen) == ["scene_0", "scene_1", "scene_2"]
    for scores in seen.values():
        assert list(scores) == list(DETECTORS)
        assert all(score.dtype == np.float32 for score in scores.values())
        assert all(score.shape == (toy.HEIGHT, toy.WIDTH) for score in scores.values())


def test_a_fitted_and_a_trained_detector_run_beside_the_others(segmenter):
    detectors = attached(segmenter)
    detectors["mahalanobis"] = toy.prepared("mahalanobis", segmenter)
    found = evaluate(segmenter, detectors, Scenes())
    far = next(row for row in found.rows if row.detector == "mahalanobis")
    assert far.ap_exact > 0.9


def test_the_result_is_plain_json(segmenter):
    found = evaluate(segmenter, attached(segmenter), Scenes())
    again = json.loads(json.dumps(found.as_dict()))
    assert again["frames"] == 3
    assert again["data"] == {"name": "scenes", "count": 3}
    assert {row["detector"] for row in again["rows"]} == set(DETECTORS)


def test_frames_without_a_label_are_refused(segmenter):
    with pytest.raises(DataError, match="scene_0 cannot be scored: it has no label"):
        evaluate(segmenter, attached(segmenter), Scenes(labelled=False))


def test_a_set_without_anomalies_has_a_mean_iou_and_no_average_precision(segmenter):
    found = evaluate(segmenter, attached(segmenter), Scenes(count=1))
    assert found.miou > 0.5
    assert math.isnan(found.rows[0].ap) or found.rows[0].ap == 0


def test_foreign_classes_are_refused(segmenter):
    with pytest.raises(DataError, match=r"no map from the segmenter's 3 classes \(red"):
        evaluate(segmenter, attached(segmenter), Scenes(classes=("road", "sky")))


def test_class_tables():
    assert (class_table(CAMVID, CAMVID) == np.arange(256)).all()
    table = class_table(CITYSCAPES, CAMVID)
    for one, other in (("road", "Road"), ("sky", "Sky"), ("person", "Pedestrian"), ("car", "Car")):
        names = [name.lower() for name in CAMVID]
        assert table[CITYSCAPES.index(one)] == names.index(other.lower())


def test_the_spool_gives_back_what_it_was_given_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    maps = [np.random.default_rng(i).normal(size=(3, 4)).astype(np.float16) for i in range(3)]
    truth = np.zeros((3, 4), np.uint8)
    with ScoreSpool() as spool:
        for index, one in enumerate(maps):
            spool.add(f"frame/{index}", truth, {"a": one, "b (runs/x)": -one})
        for name, sign in (("a", 1), ("b (runs/x)", -1)):
            for (frame_id, score, label), one in zip(spool.read(name), maps, strict=True):
                assert frame_id.startswith("frame/")
                np.testing.assert_array_equal(score, sign * one)
                assert label is truth
    assert not list(tmp_path.iterdir())
