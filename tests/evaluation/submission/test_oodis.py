"""OoDIS: its checker's rules hold, and the Cityscapes tool finds in the files what we do."""

import json
import re
import zipfile

import cv2
import numpy as np
import pytest
from PIL import Image

from roadanomaly.calibration import calibrate
from roadanomaly.cli.export_submission import _parser, _threshold
from roadanomaly.cli.parsing import parse
from roadanomaly.data.oodis import OodisFishyscapes
from roadanomaly.data.smiyc import SmiycAnomaly
from roadanomaly.errors import OptionError
from roadanomaly.evaluation.submission.instances import predicted_objects
from roadanomaly.evaluation.submission.oodis import read_objects
from roadanomaly.metrics.instance import Instances
from tests import layouts
from tests.evaluation.submission import sets

CAR, ROAD, VOID = 26, 7, 0
LAF = (*layouts.LAF_TEST, *layouts.LAF_TRAIN)
TRACKS = {"fishyscapes", "roadanomaly", "roadobstacle"}
WORDS = ("--for", "oodis", "--threshold", 1.5, "--min_area", 6)


def lost_and_found(root, ids=LAF):
    """Make LostAndFound with two objects a frame, as ids of cars on road, void below them."""
    layouts.laf(root, [i for i in ids if i in layouts.LAF_TEST], layouts.LAF_TRAIN)
    for seed, frame_id in enumerate(ids):
        rng = np.random.default_rng(seed)
        values = np.full(sets.SHAPE, ROAD, np.uint16)
        values[19:, : sets.SHAPE[1] // 2] = VOID
        for number in range(2):
            top, left = rng.integers(0, 16), rng.integers(0, 10) + 16 * number
            values[top : top + 6, left : left + 6] = 1000 * CAR + number
        part = "train" if frame_id in layouts.LAF_TRAIN else "test"
        folder = root / "dataset_LostAndFound" / "gtCoarse" / part / frame_id[:-14]
        cv2.imwrite(str(folder / f"{frame_id}_gtCoarse_instanceIds.png"), values)
    return root


def detections(root, folder):
    """Write maps that are high near the true objects, and elsewhere now and then."""
    folder.mkdir(parents=True)
    frames = OodisFishyscapes(root=root)
    for seed, frame_id in enumerate(frames.ids):
        rng = np.random.default_rng(100 + seed)
        truth = frames.instances(frame_id).numpy() >= 1000
        shifted = np.roll(truth, rng.integers(-1, 2, 2), (0, 1))
        stray = np.zeros(sets.SHAPE, bool)
        stray[20:23, rng.integers(0, 20) :][:, :5] = rng.random() < 0.5
        score = rng.normal(0, 0.2, sets.SHAPE) + (shifted | stray) * rng.uniform(1.9, 3)
        np.save(folder / f"{frame_id}.npy", score.astype(np.float32))
    return folder


def official_ap(folder, frames, scratch, monkeypatch):
    """Score the written files as OoDIS does: class 26 in the names and lines, then Cityscapes."""
    tool = pytest.importorskip(
        "cityscapesscripts.evaluation.evalInstanceLevelSemanticLabeling",
        reason="cityscapesscripts is what it is compared with: pip install -e .[dev]",
    )
    monkeypatch.setattr(np, "in1d", np.isin, raising=False)
    monkeypatch.setattr(tool, "writeDict2JSON", lambda content, path: None)
    scratch.mkdir()
    truths, lists = [], []
    for frame_id in frames.ids:
        text = folder / frames.prediction_file(frame_id)
        lines = []
        for line in text.read_text().strip().split("\n"):
            parts = line.split(" ")
            name = "_".join(parts[0].split("_")[:-1]) + f"_{CAR}.png"
            (scratch / name).write_bytes((folder / parts[0]).read_bytes())
            lines.append(f"{name} {CAR} {parts[-1]}")
        (scratch / text.name).write_text("\n".join(lines))
        truth = scratch / f"{frame_id}_gtFine_instanceIds.png"
        Image.fromarray(frames.instances(frame_id).numpy().astype(np.uint16)).save(truth)
        truths.append(str(truth))
        lists.append(str(scratch / text.name))
    for key, value in {
        "minRegionSizes": np.array([10, 10, 10]),
        "gtInstancesFile": str(scratch / "truth.json"),
        "predictionPath": str(scratch),
        "JSONOutput": False,
        "quiet": True,
    }.items():
        monkeypatch.setattr(tool.args, key, value)
    result = tool.evaluateImgLists(lists, truths, tool.args)
    return np.array(result["resultApMatrix"])[0, result["instLabels"].index("car")]


def test_the_cityscapes_tool_finds_our_ap_in_the_files(export, tmp_path, monkeypatch):
    root = lost_and_found(tmp_path / "data")
    maps = detections(root, tmp_path / "maps" / "fishyscapes")
    out = tmp_path / "out"
    words = ("--scores", maps, *WORDS, "--root", root, "--track", "fishyscapes", "--incomplete")
    code, text, err = export(*words, "--out", out)
    assert code == 0, err
    assert "not the whole submission" in text
    frames, metric, unforgiving = OodisFishyscapes(root=root), Instances(), Instances()
    for frame_id in frames.ids:
        stored = read_objects(out / "fishyscapes" / frames.prediction_file(frame_id))
        truth = frames.instances(frame_id).numpy()
        metric.update(frame_id, stored, truth, truth == VOID)
        unforgiving.update(frame_id, stored, truth)
    result = metric.compute()
    assert unforgiving.compute().ap < result.ap
    theirs = official_ap(out / "fishyscapes", frames, tmp_path / "scratch", monkeypatch)
    np.testing.assert_allclose(result.ap_at, theirs, rtol=0, atol=1e-9)
    assert 0 < result.ap < result.ap50 < 1
    proof = json.loads((out / "submission.json").read_text())["tracks"]["fishyscapes"]["proof"]
    assert proof["frames"] == len(LAF)
    assert proof["before"] == proof["after"] == {"ap": result.ap, "ap50": result.ap50}


def check_as_the_benchmark(archive, expected):
    """Apply the rules of the benchmark's own checker."""
    names = archive.namelist()
    assert {name.split("/")[0] for name in names if name.endswith("/")} == TRACKS
    described = archive.read("description.txt").decode().strip().split("\n")
    assert [line.split(":", 1)[0] for line in described] == ["name", "paper_link", "code_link"]
    texts = {n for n in names if n.endswith(".txt")} - {"description.txt"}
    assert texts == expected
    listed = set()
    for text in texts:
        lines = archive.read(text).decode().strip().split("\n")
        for line in lines:
            name, _, confidence = line.split(" ")
            assert re.match(r".*_instanceIds_\d+_1.png$", name)
            assert np.isfinite(float(confidence))
            listed.add(f"{text.split('/')[0]}/{name}")
    assert {n for n in names if n.endswith(".png")} == listed


def three_tracks(root, anomaly, obstacle):
    layouts.smiyc_anomaly(root, anomaly)
    layouts.smiyc_obstacle(root, obstacle)
    return lost_and_found(root)


def texts_of(laf, anomaly, obstacle):
    return (
        {f"fishyscapes/{i}_gtCoarse_instanceIds_pred.txt" for i in laf}
        | {f"roadanomaly/{i}_instanceIds_pred.txt" for i in anomaly}
        | {f"roadobstacle/{i}_instanceIds_pred.txt" for i in obstacle}
    )


def test_three_tracks_pass_the_checker(export, tmp_path):
    snow = "snowstorm2_00_01_38.181"
    anomaly, obstacle = layouts.ANOMALY_TEST, (*layouts.OBSTACLE_TEST, snow)
    root = three_tracks(tmp_path / "data", anomaly, obstacle)
    maps = tmp_path / "maps"
    detections(root, maps / "fishyscapes")
    sets.write_scores(maps / "roadanomaly", [*anomaly, "validation0003"])
    sets.write_scores(maps / "ObstacleTrack-all", list(obstacle))
    words = ("--scores", maps, *WORDS, "--root", root, "--incomplete", "--method", "m")
    code, text, err = export(*words, "--paper", "https://p", "--out", tmp_path / "out")
    assert code == 0, err
    assert "roadobstacle: no frame with public truth here" in text
    with zipfile.ZipFile(tmp_path / "out" / "oodis_m.zip") as archive:
        check_as_the_benchmark(archive, texts_of(LAF, anomaly, obstacle))
        assert b"paper_link: https://p" in archive.read("description.txt")


@pytest.mark.slow
def test_the_whole_submission_has_2751_frames(export, tmp_path):
    laf = sets.laf_ids(1203, 2), sets.laf_ids(1036, 3)
    root, maps = tmp_path / "data", tmp_path / "maps"
    layouts.laf(root, *laf)
    anomaly = [i for i in sets.ANOMALY_IDS if i in SmiycAnomaly.official("test")]
    layouts.smiyc_anomaly(root, anomaly)
    layouts.smiyc_obstacle(root, sets.obstacle_ids())
    sets.write_scores(maps / "fishyscapes", [*laf[0], *laf[1]])
    sets.write_scores(maps / "roadanomaly", anomaly)
    sets.write_scores(maps / "roadobstacle", sets.obstacle_ids())
    words = ("--scores", maps, *WORDS, "--root", root, "--method", "m")
    code, _, err = export(*words, "--out", tmp_path / "out")
    assert code == 0, err
    card = json.loads((tmp_path / "out" / "submission.json").read_text())
    assert card["complete"]
    assert [track["frames"] for track in card["tracks"].values()] == [2239, 100, 412]
    with zipfile.ZipFile(tmp_path / "out" / "oodis_m.zip") as archive:
        check_as_the_benchmark(archive, texts_of([*laf[0], *laf[1]], anomaly, sets.obstacle_ids()))


@pytest.mark.slow
def test_a_model_brings_its_own_threshold(export, part_root, run_folder, tmp_path):
    words = (run_folder, "--for", "oodis", "--root", part_root, "--track", "roadanomaly")
    for name, extra in (("own", ()), ("strict", ("--false_alarms", "0.01"))):
        code, _, err = export(*words, *extra, "--incomplete", "--out", tmp_path / name)
        assert code == 0, err
    plans = [
        json.loads((tmp_path / name / "submission.json").read_text())["plan"]
        for name in ("own", "strict")
    ]
    assert plans[0]["threshold"] < plans[1]["threshold"]
    assert plans[0]["min_area"] == 20
    assert len(list((tmp_path / "own" / "roadanomaly").glob("*.txt"))) == 4


def test_objects_are_separate_and_the_surest_come_first():
    score = np.zeros((20, 30), np.float32)
    score[2:5, 2:5], score[10:14, 20:24], score[18, 0] = 2, 3, 9
    found = predicted_objects(score, 1.0, min_area=5)
    assert [(int(one.mask.sum()), one.confidence) for one in found] == [(16, 3.0), (9, 2.0)]
    assert not (found[0].mask & found[1].mask).any()


def test_a_frame_without_objects_gets_the_least_sure_one():
    score = np.random.default_rng(0).normal(0, 0.1, (20, 30)).astype(np.float32)
    score[5:8, 5:8] += 1
    (only,) = predicted_objects(score, 5.0, min_area=4)
    assert only.mask[score.argmax() // 30, score.argmax() % 30]
    assert 1 <= only.mask.sum() <= 4
    assert only.confidence < 5
    score[0, 0] = 100
    (peak,) = predicted_objects(score, 5.0, min_area=4)
    assert peak.confidence == 5
    assert peak.mask.sum() == 1


@pytest.mark.parametrize(
    ("way", "words", "wanted"),
    [
        ("f1", [], 0.75),
        ("rate", [], lambda known: known.threshold_at(0.05)),
        ("conformal", [], lambda known: known.conformal_threshold(0.05)),
        ("conformal", ["--false_alarms", "0.2"], lambda known: known.conformal_threshold(0.2)),
        ("f1", ["--false_alarms", "0.2"], lambda known: known.threshold_at(0.2)),
        ("f1", ["--threshold", "3"], 3.0),
    ],
)
def test_the_threshold_is_the_one_that_the_model_was_saved_with(way, words, wanted):
    scores = np.random.default_rng(0).normal(size=5000)
    known = calibrate([scores], 0.05, "noise").with_f1(0.75, "other noise").at(way=way)
    given = parse(_parser(), words)
    assert _threshold(given, known) == (wanted if isinstance(wanted, float) else wanted(known))


def test_a_threshold_and_a_rate_are_not_given_both():
    given = parse(_parser(), ["--threshold", "3", "--false_alarms", "0.2"])
    with pytest.raises(OptionError, match="both set the threshold"):
        _threshold(given, None)
