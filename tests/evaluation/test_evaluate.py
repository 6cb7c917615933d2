"""An evaluation: its numbers are scikit-learn's and `score_frames`', whatever cuts it short."""

from __future__ import annotations

import math
from dataclasses import astuple

import cv2
import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, confusion_matrix, roc_auc_score

import roadanomaly
from roadanomaly.calibration import calibrate
from roadanomaly.data.class_names import CAMVID, CITYSCAPES
from roadanomaly.data.ground import OnGround
from roadanomaly.detectors.head import Head
from roadanomaly.errors import DataError, UserError
from roadanomaly.evaluation.classes import class_table
from roadanomaly.evaluation.evaluate import calibrate_on, evaluate, score_all
from roadanomaly.evaluation.findings import Findings
from roadanomaly.evaluation.further import KnownClasses
from roadanomaly.evaluation.sources import FolderScores, NetworkScores
from roadanomaly.evaluation.spool import FrameSpool
from roadanomaly.evaluation.team import Team
from roadanomaly.metrics import score_frames
from roadanomaly.scores.folder import open_scores
from tests.contracts import toy
from tests.evaluation.scenes import Drawn, Scenes, job

DETECTORS = ("energy", "msp")


@pytest.fixture
def segmenter():
    torch.manual_seed(0)
    return toy.ToySegmenter().eval()


def attached(segmenter, names=DETECTORS):
    found = {name: roadanomaly.detector(name) for name in names}
    for detector in found.values():
        detector.attach(segmenter)
    return NetworkScores(segmenter, {name: Head(one) for name, one in found.items()})


def frames_of(source, frames):
    """Every frame's score and truth, as the source gives them."""
    name = next(iter(source.supervision))
    return [(source.score(frame).scores[name], frame.truth.numpy()) for frame in frames]


def pooled(source, frames, name):
    truths = [frame.truth.numpy() for frame in frames]
    scores = [source.score(frame).scores[name] for frame in frames]
    counted = [truth != 255 for truth in truths]
    return (
        np.concatenate([t[c] for t, c in zip(truths, counted, strict=True)]),
        np.concatenate([s[c] for s, c in zip(scores, counted, strict=True)]),
    )


def test_a_road_detector_scored_off_the_road_says_so():
    source = Drawn()
    source.regions = {"drawn": "road"}
    on_road = OnGround(Scenes())
    marked = [
        any("drivable ground alone" in text for text in evaluate(one)[0].warnings)
        for one in (job(source), job(source, on_road), job(source, protocol="laf"), job(Drawn()))
    ]
    assert marked == [True, False, False, False]


def test_numbers_are_scikit_learn_s(segmenter):
    source, frames = attached(segmenter), Scenes()
    found = evaluate(job(source, frames))
    assert [one.detector for one in found] == list(DETECTORS)
    for one in found:
        truth, score = pooled(source, frames, one.detector)
        assert one.exact["ap"] == pytest.approx(average_precision_score(truth, score), abs=1e-9)
        assert one.exact["auroc"] == pytest.approx(roc_auc_score(truth, score), abs=1e-9)
        assert one.supervision == "none"
        assert all(frame.ms > 0 for frame in one.per_frame)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("track", ["anomaly", "obstacle"])
def test_both_modes_are_those_of_score_frames(dtype, track):
    source, frames = Drawn(dtype, size=30), Scenes(4)
    (found,) = evaluate(job(source, frames, track=track))
    halves = [(s.astype(np.float16), t) for s, t in frames_of(source, frames)]
    np.testing.assert_equal(found.official, score_frames(halves, track, "official"))
    exact = score_frames(frames_of(source, frames), track, "exact")
    assert found.exact == pytest.approx(exact, abs=1e-12, nan_ok=True)
    if track == "obstacle":
        assert found.exact["siou"] > 0


@pytest.mark.parametrize("mode", [None, "official"])
def test_narrower_maps_are_judged_in_single_precision(tmp_path, mode):
    """The official tool enlarges a half-precision map in float32, and does not round it again."""
    enlarged, frames = [], Scenes(4)
    for frame in frames:
        height, width = frame.image.shape[-2:]
        score = Drawn(size=4).score(frame).scores["drawn"]
        small = cv2.resize(score, (width // 2, height // 2)).astype(np.float16)
        np.save(tmp_path / f"{frame.id}.npy", small)
        large = cv2.resize(small.astype(np.float32), (width, height))
        enlarged.append((large, frame.truth.numpy()))
    source = FolderScores("stored", open_scores(tmp_path))
    (found,) = evaluate(job(source, frames, **({"mode": mode} if mode else {})))
    np.testing.assert_equal(found.official, score_frames(enlarged, "obstacle", "official"))
    rounded = [(score.astype(np.float16), truth) for score, truth in enlarged]
    assert found.official["ap"] != score_frames(rounded, "obstacle", "official")["ap"]


@pytest.mark.parametrize("mode", ["official", "exact"])
def test_one_mode_gives_its_own_numbers_alone(mode):
    (both,) = evaluate(job())
    (alone,) = evaluate(job(mode=mode))
    other = {"official": "exact", "exact": "official"}[mode]
    np.testing.assert_equal(getattr(alone, mode), getattr(both, mode))
    assert getattr(alone, other) == {}
    assert list(alone.curves) == [mode]


def test_closed_set_numbers_are_those_of_the_confusion_matrix(segmenter):
    frames = Scenes()
    (found,) = evaluate(job(attached(segmenter, ["msp"]), frames))
    truth, predicted = [], []
    for frame in frames:
        with torch.inference_mode():
            classes = segmenter(frame.image[None].float() / 255).classes()[0]
        known = frame.label < roadanomaly.NEGATIVE
        truth.append(frame.label[known].numpy())
        predicted.append(classes[known].numpy())
    matrix = confusion_matrix(np.concatenate(truth), np.concatenate(predicted), labels=range(3))
    iou = np.diag(matrix) / (matrix.sum(0) + matrix.sum(1) - np.diag(matrix))
    assert list(found.extra["closed set IoU"].values()) == pytest.approx(iou.tolist())
    assert found.extra["closed set"]["miou"] == pytest.approx(iou.mean())


def test_every_frame_is_seen_with_its_scores(segmenter):
    seen = {}
    evaluate(
        job(attached(segmenter)), seen=lambda n, frame, scores: seen.update({n: (frame.id, scores)})
    )
    assert {n: name for n, (name, _) in seen.items()} == {n: f"scene_{n}" for n in range(3)}
    for _, scores in seen.values():
        assert list(scores) == list(DETECTORS)
        assert all(score.shape == (toy.HEIGHT, toy.WIDTH) for score in scores.values())


def test_a_fitted_detector_runs_beside_the_others(segmenter):
    heads = dict(attached(segmenter).heads)
    heads["mahalanobis"] = Head(toy.prepared("mahalanobis", segmenter))
    found = evaluate(job(NetworkScores(segmenter, heads)))
    assert found[-1].detector == "mahalanobis"
    assert found[-1].exact["ap"] > 0.9


def test_frames_without_a_label_are_refused(segmenter):
    with pytest.raises(DataError, match="scene_0 cannot be scored: it has no label"):
        evaluate(job(attached(segmenter), Scenes(labelled=False)))


def test_a_set_without_anomalies_has_a_mean_iou_and_no_average_precision(segmenter):
    found = evaluate(job(attached(segmenter), Scenes(count=1)))
    assert found[0].extra["closed set"]["miou"] > 0.5
    assert math.isnan(found[0].official["ap"])
    assert math.isnan(found[0].exact["ap"])


def test_foreign_classes_leave_out_the_mean_iou_and_say_so(segmenter):
    found = evaluate(job(attached(segmenter), Scenes(classes=("road", "sky"))))
    assert "closed set" not in found[0].extra
    assert "no map from the segmenter's 3 classes (road" in found[0].warnings[-1]


def test_class_tables():
    assert (class_table(CAMVID, CAMVID) == np.arange(256)).all()
    table = class_table(CITYSCAPES, CAMVID)
    for one, other in (("road", "Road"), ("sky", "Sky"), ("person", "Pedestrian"), ("car", "Car")):
        names = [name.lower() for name in CAMVID]
        assert table[CITYSCAPES.index(one)] == names.index(other.lower())


def test_class_tables_are_bytes_and_what_is_no_class_is_ignored():
    """255 is what a detector says that reads the image alone."""
    for one, other in ((CITYSCAPES, CITYSCAPES), (CITYSCAPES, CAMVID), (CAMVID, CITYSCAPES)):
        table = class_table(one, other)
        assert (table.dtype, table.shape) == (np.uint8, (256,))
        assert (table[: len(one)] < len(other)).all()
        assert table[255] == 255


def test_frames_are_those_of_the_pooled_numbers():
    (found,) = evaluate(job(frames=Scenes(12)))
    assert [one.id for one in found.per_frame] == sorted(f"scene_{n}" for n in range(12))
    negatives = sum(one.curve.fp.sum() for one in found.per_frame)
    assert found.histogram.inlier.sum() == negatives
    assert found.histogram.anomaly.sum() == sum(one.curve.tp.sum() for one in found.per_frame)
    assert found.histogram.edges.size == found.histogram.inlier.size + 1


def same(one: Findings, other: Findings) -> None:
    for name in ("official", "exact", "extra"):
        np.testing.assert_equal(getattr(one, name), getattr(other, name))
    np.testing.assert_equal(*([astuple(t) for t in x.thresholds] for x in (one, other)))
    np.testing.assert_equal(
        [(f.id, f.ap, f.fpr95, f.f1) for f in one.per_frame],
        [(f.id, f.ap, f.fpr95, f.f1) for f in other.per_frame],
    )
    np.testing.assert_array_equal(one.histogram.inlier, other.histogram.inlier)


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), DataError("broken map"), MemoryError()])
def test_a_stopped_evaluation_goes_on_where_it_was(stop, tmp_path):
    (whole,) = evaluate(job(frames=Scenes(9)))
    first = Drawn(fails_at=(5, stop))
    with pytest.raises(type(stop)):
        evaluate(job(first, Scenes(9)), folder=tmp_path)
    again = Drawn()
    (found,) = evaluate(job(again, Scenes(9)), folder=tmp_path)
    assert len(again.scored) == 4
    assert set(again.scored) | set(first.scored) == {f"scene_{n}" for n in range(9)}
    same(found, whole)


class OneOfThree(Team):
    """One of three processes, alone in this one."""

    def share(self, numbers):
        return list(numbers[self.rank :: 3])

    def lead(self, work):
        return work()


def test_shares_of_several_processes_make_the_same_whole(tmp_path):
    (whole,) = evaluate(job(frames=Scenes(7)))
    counts = []
    for rank in (2, 0, 1):
        source = Drawn()
        shared = job(source, Scenes(7))
        done = score_all(shared, FrameSpool(tmp_path), OneOfThree(rank, 1), no_classes(shared))
        counts.append(len(source.scored))
        assert done == 7
    assert sum(counts) < 7
    (found,) = evaluate(job(frames=Scenes(7)), folder=tmp_path)
    same(found, whole)


def no_classes(one):
    return KnownClasses(one.frames, ())


def test_a_frame_that_the_disk_cannot_hold_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 10}))
    with pytest.raises(
        UserError, match=r"needs about [\d.]+ [kM]B .* but 10\.0 bytes are free there"
    ):
        evaluate(job(), folder=tmp_path)


def test_thresholds_are_what_counting_says():
    source, frames = Drawn(size=20), Scenes(5)
    scores = frames_of(source, frames)
    inliers = [score[truth == 0] for score, truth in frames_of(source, Scenes(4, seed=1))]
    known = calibrate(inliers, 0.02, "held-out scenes").with_f1(2.0, "other scenes")
    source.calibrations = {"drawn": known}
    (found,) = evaluate(job(source, frames, rates=(0.02, 0.1)))
    rows = {(row.way, row.stated): row for row in found.thresholds}
    assert [row.way for row in found.thresholds] == [
        "best F1",
        *["false-positive rate"] * 2,
        *["conformal"] * 2,
        "validation F1",
    ]
    best = found.thresholds[0]
    assert best.threshold == found.official["best_f1_threshold"]
    assert (best.siou, best.f1) == (
        found.official["siou"],
        pytest.approx(found.official["best_f1"], abs=0.02),
    )
    assert best.siou > 0
    for row in found.thresholds[1:]:
        called = np.concatenate([(s > row.threshold)[t != 255] for s, t in scores])
        truth = np.concatenate([t[t != 255] for _, t in scores]) == 1
        assert row.fpr == pytest.approx(called[~truth].mean())
        assert row.tpr == pytest.approx(called[truth].mean())
        assert row.precision == pytest.approx(truth[called].mean())
        both = 2 * (called & truth).sum() / (called.sum() + truth.sum())
        assert row.f1 == pytest.approx(both)
    for rate in (0.02, 0.1):
        assert rows["false-positive rate", rate].fpr == pytest.approx(rate, rel=0.35)
        assert rows["conformal", rate].threshold >= rows["false-positive rate", rate].threshold


def test_thresholds_transfer_from_a_validation_set(tmp_path):
    source, held_out = Drawn(size=20), Scenes(6, seed=3)
    found = calibrate_on(job(source, held_out), "scenes val", 0.05, folder=tmp_path, team=Team())[
        "drawn"
    ]
    truth, score = pooled(source, held_out, "drawn")
    exact = score_frames(frames_of(source, held_out), mode="exact")
    called = score > found.f1_threshold
    assert 2 * (called & (truth == 1)).sum() / (called.sum() + (truth == 1).sum()) == (
        pytest.approx(exact["best_f1"], abs=1e-12)
    )
    assert (score[truth == 0] > found.threshold).mean() == pytest.approx(0.05, abs=0.002)
    assert (found.data, found.f1_data) == ("scenes val", "scenes val")
