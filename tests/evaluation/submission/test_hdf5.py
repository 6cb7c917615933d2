"""Submissions for the official tool: its conventions, the ranking, and the proof."""

import json
import os
import zipfile
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from roadanomaly.cli.main import main
from roadanomaly.data.roadanomaly import RoadAnomaly
from tests import layouts
from tests.evaluation.submission import sets

CHANGES = {
    "as they are": lambda score: score,
    "plus 1000": lambda score: score + np.float32(1000),
    "times 1e6": lambda score: score * np.float32(1e6),
}


def official_read(path):
    """Read as the official tool does: the array `value`, sides of length 1 dropped."""
    with h5py.File(path, "r") as file:
        return file["value"][:].squeeze()


def test_anomaly_track_is_written_in_the_official_convention(
    export, anomaly_root, anomaly_maps, tmp_path
):
    out = tmp_path / "out"
    words = ("--scores", anomaly_maps, "--for", "smiyc-anomaly", "--method", "m-1")
    code, text, _ = export(*words, "--root", anomaly_root, "--out", out)
    assert code == 0
    assert "110 files of 110 frames (100 with hidden truth)" in text
    folder = out / "anomaly_p" / "m-1" / "AnomalyTrack-all"
    assert sorted(path.name for path in folder.iterdir()) == [f"{i}.hdf5" for i in sets.ANOMALY_IDS]
    for frame_id in sets.ANOMALY_IDS:
        with h5py.File(folder / f"{frame_id}.hdf5", "r") as file:
            assert list(file) == ["value"]
            stored = file["value"]
            assert stored.dtype == np.float16
            assert stored.shape == sets.SHAPE
            assert (stored.compression, stored.compression_opts) == ("gzip", 9)
            assert np.isfinite(stored[:].astype(np.float32)).all()
    assert not list(out.rglob(".*"))
    assert {path.name for path in out.iterdir()} == {
        "anomaly_p", "submission.json", "smiyc-anomaly_m-1.zip",
    }  # fmt: skip


def test_the_archive_holds_the_files_and_nothing_else(export, anomaly_root, anomaly_maps, tmp_path):
    out = tmp_path / "out"
    words = ("--scores", anomaly_maps, "--for", "smiyc-anomaly", "--root", anomaly_root)
    assert export(*words, "--out", out)[0] == 0
    with zipfile.ZipFile(out / "smiyc-anomaly_mine.zip") as archive:
        assert archive.testzip() is None
        names = [name for name in archive.namelist() if not name.endswith("/")]
        assert len(names) == 110
        for name in names:
            assert archive.read(name) == (out / name).read_bytes()


@pytest.mark.slow
def test_an_export_scores_as_the_maps_that_it_was_made_of(
    export, anomaly_root, anomaly_maps, tmp_path, capsys
):
    out = tmp_path / "out"
    words = ("--scores", anomaly_maps, "--for", "smiyc-anomaly", "--root", anomaly_root)
    assert export(*words, "--out", out)[0] == 0
    found = []
    for name, maps in (("before", anomaly_maps), ("after", out / "anomaly_p" / "mine")):
        words = ["--scores", maps, "--on", "smiyc-anomaly", "--root", anomaly_root]
        code = main(["evaluate", *map(str, [*words, "--out", tmp_path / name])])
        assert code == 0, capsys.readouterr().err
        numbers = json.loads((tmp_path / name / "metrics.json").read_text())
        assert numbers["smiyc-anomaly"]["frames"] == 10
        found.append(numbers["smiyc-anomaly"]["exact"]["ap"])
    assert found[1] == pytest.approx(found[0], abs=1e-5)


def scored(root, folder, maps):
    """Return truth and score of the counted pixels of the frames with public truth."""
    truths, scores = [], []
    for path in sorted(root.glob("dataset_AnomalyTrack/labels_masks/*_semantic.png")):
        truth = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        score = maps(folder, path.name.removesuffix("_labels_semantic.png"))
        truths.append(truth[truth < 255])
        scores.append(score[truth < 255].astype(np.float64))
    return np.concatenate(truths), np.concatenate(scores)


def test_the_printed_proof_is_what_scikit_learn_says(export, anomaly_root, anomaly_maps, tmp_path):
    out = tmp_path / "out"
    words = ("--scores", anomaly_maps, "--for", "smiyc-anomaly", "--root", anomaly_root)
    assert export(*words, "--out", out)[0] == 0
    proof = json.loads((out / "submission.json").read_text())["tracks"]["AnomalyTrack-all"]["proof"]
    before = scored(anomaly_root, anomaly_maps, lambda at, i: np.load(at / f"{i}.npy"))
    folder = out / "anomaly_p" / "mine" / "AnomalyTrack-all"
    after = scored(anomaly_root, folder, lambda at, i: official_read(at / f"{i}.hdf5"))
    assert proof["frames"] == 10
    assert proof["before"]["ap"] == pytest.approx(average_precision_score(*before), abs=1e-12)
    assert proof["after"]["ap"] == pytest.approx(average_precision_score(*after), abs=1e-12)
    assert abs(proof["change"]["ap"]) < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGES)
def test_the_order_of_all_frames_together_is_never_reversed(change, export, anomaly_root, tmp_path):
    maps = tmp_path / "maps"
    maps.mkdir()
    before = {}
    for seed, frame_id in enumerate(sets.ANOMALY_IDS):
        before[frame_id] = CHANGES[change](sets.score(seed))
        np.save(maps / f"{frame_id}.npy", before[frame_id])
    out = tmp_path / "out"
    words = ("--scores", maps, "--for", "smiyc-anomaly", "--root", anomaly_root)
    assert export(*words, "--out", out)[0] == 0
    folder = out / "anomaly_p" / "maps" / "AnomalyTrack-all"
    pooled = np.concatenate([before[i].ravel() for i in sets.ANOMALY_IDS])
    after = np.concatenate(
        [official_read(folder / f"{i}.hdf5").ravel() for i in sets.ANOMALY_IDS]
    ).astype(np.float64)
    steps = np.diff(after[np.argsort(pooled, kind="stable")])
    assert (steps >= 0).all()
    assert (after == after.max()).sum() == (pooled == pooled.max()).sum()


@pytest.mark.slow
def test_half_size_maps_of_the_official_folder_are_enlarged(export, anomaly_root, tmp_path):
    folder = tmp_path / "outputs" / "anomaly_p" / "m" / "AnomalyTrack-all"
    folder.mkdir(parents=True)
    small = (sets.SHAPE[0] // 2, sets.SHAPE[1] // 2)
    for seed, frame_id in enumerate(sets.ANOMALY_IDS):
        with h5py.File(folder / f"{frame_id}.hdf5", "w") as file:
            file["value"] = sets.score(seed, small)
    out = tmp_path / "out"
    words = ("--scores", tmp_path / "outputs", "--for", "smiyc-anomaly", "--root", anomaly_root)
    assert export(*words, "--out", out)[0] == 0
    written = out / "anomaly_p" / "outputs" / "AnomalyTrack-all" / "cow0003.hdf5"
    assert official_read(written).shape == sets.SHAPE


def test_scores_that_say_little_are_doubted(export, anomaly_root, tmp_path):
    maps = tmp_path / "maps"
    maps.mkdir()
    for seed, frame_id in enumerate(sets.ANOMALY_IDS):
        np.save(maps / f"{frame_id}.npy", np.clip(sets.score(seed), -3, 0.5))
    words = ("--scores", maps, "--for", "smiyc-anomaly", "--root", anomaly_root)
    code, text, _ = export(*words, "--out", tmp_path / "out")
    assert code == 0
    assert "warning: AnomalyTrack-all: scores saturate at the top" in text


@pytest.mark.slow
def test_obstacle_track_has_442_frames_with_dots_in_their_names(export, tmp_path):
    ids = sets.obstacle_ids()
    root = layouts.smiyc_obstacle(tmp_path / "data", ids)
    everything = [path.stem for path in (root / "dataset_ObstacleTrack" / "images").iterdir()]
    maps = sets.write_scores(tmp_path / "maps", everything)
    words = ("--scores", maps, "--for", "smiyc-obstacle", "--root", root)
    code, text, _ = export(*words, "--out", tmp_path / "out")
    assert code == 0
    assert "442 files of 442 frames (412 with hidden truth)" in text
    folder = tmp_path / "out" / "anomaly_p" / "maps" / "ObstacleTrack-all"
    assert {path.name for path in folder.iterdir()} == {f"{i}.hdf5" for i in everything}


@pytest.mark.slow
def test_lost_and_found_is_proven_on_the_ranked_frames(export, tmp_path):
    ids = sets.laf_ids(1199, 2)
    children = ["15_Rechbergstr_Deckenpfronn_000001_000280"]
    rest = [f"04_Maurener_Weg_8_000000_{i:06d}" for i in range(3)]
    root = layouts.laf(tmp_path / "data", [*ids, *children, *rest], layouts.LAF_TRAIN)
    maps = sets.write_scores(tmp_path / "maps", [*ids, *children, *rest])
    words = ("--scores", maps, "--for", "laf", "--root", root)
    code, _, _ = export(*words, "--out", tmp_path / "out")
    assert code == 0
    card = json.loads((tmp_path / "out" / "submission.json").read_text())
    track = card["tracks"]["LostAndFound-test"]
    assert (track["frames"], track["hidden"], card["complete"]) == (1203, 0, True)
    assert track["proof"]["frames"] == 1203 - 17 - 1


def test_a_split_that_is_ranked_may_be_submitted_alone(export, tmp_path):
    root = layouts.laf(tmp_path / "data")
    maps = sets.write_scores(tmp_path / "maps", list(layouts.LAF_TEST))
    words = ("--scores", maps, "--for", "laf", "--root", root, "--incomplete")
    code, text, _ = export(*words, "--split", "testNoKnown", "--out", tmp_path / "out")
    assert code == 0
    assert "3 files of 3 frames" in text
    assert "not the whole submission" in text
    folder = tmp_path / "out" / "anomaly_p" / "maps" / "LostAndFound-test"
    assert {path.stem for path in folder.iterdir()} == set(layouts.LAF_TEST[:3])


@pytest.fixture(scope="module")
def real_scores():
    """Scores and truth of three real frames under the published network."""
    import roadanomaly as ra

    root = os.environ.get("ROADANOMALY_DATA")
    if root is None or not (Path(root) / "roadanomaly").is_dir():
        pytest.skip("needs ROADANOMALY_DATA with roadanomaly/ and the ESPNetv2 weights")
    weights = "espnetv2_s_0.5_city_1024x512.pth"
    model = ra.Model(ra.segmenter("espnetv2", scale=0.5, weights=weights), ra.detector("energy"))
    frames = RoadAnomaly()
    chosen = [frames[index] for index in range(0, len(frames), max(1, len(frames) // 3))][:3]
    return [(frame, model(frame.image).score) for frame in chosen]


@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGES)
def test_real_scores_keep_their_ap(change, real_scores, export, tmp_path):
    top, maps = tmp_path / "data" / "dataset_AnomalyTrack", tmp_path / "maps"
    for folder in (top / "images", top / "labels_masks", maps):
        folder.mkdir(parents=True)
    before, after, truths = [], [], []
    for number, (frame, score) in enumerate(real_scores):
        name = f"validation{number:04d}"
        image = np.ascontiguousarray(frame.image.permute(1, 2, 0).numpy()[..., ::-1])
        cv2.imwrite(str(top / "images" / f"{name}.jpg"), image)
        truth = frame.truth.numpy()
        cv2.imwrite(str(top / "labels_masks" / f"{name}_labels_semantic.png"), truth)
        before.append(CHANGES[change](score))
        truths.append(truth)
        np.save(maps / f"{name}.npy", before[-1])
    words = ("--scores", maps, "--for", "smiyc-anomaly", "--root", tmp_path / "data")
    assert export(*words, "--incomplete", "--out", tmp_path / "out")[0] == 0
    folder = tmp_path / "out" / "anomaly_p" / "maps" / "AnomalyTrack-all"
    after = [official_read(path).astype(np.float32) for path in sorted(folder.iterdir())]
    truth = np.concatenate([one.ravel() for one in truths])
    points = [
        100 * average_precision_score(truth, np.concatenate([one.ravel() for one in scores]))
        for scores in (before, after)
    ]
    assert abs(points[0] - points[1]) < 0.001
