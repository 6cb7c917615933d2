"""`--limit`: a few frames to try on, which nobody can take for the whole set."""

import csv
import html
import json

import numpy as np
import pytest

import roadanomaly as ra
from roadanomaly.cli import evaluate as evaluate_command
from roadanomaly.data.streets import Streets
from roadanomaly.data.subset import Picked, Subset
from roadanomaly.evaluation.findings import load_findings
from roadanomaly.fitting import fit
from roadanomaly.metrics import score_frames
from roadanomaly.model import Model

SIZE = {"height": 64, "width": 96}
WORDS = (
    "--on",
    "streets",
    "--data.split",
    "test",
    "--data.count",
    5,
    "--data.height",
    64,
    "--data.width",
    96,
)
WORDS = (*WORDS, "--detectors", "energy")
PICKED = [0, 2, 4]


def evaluated(command, model_folder, out, *words):
    code, printed, err = command("evaluate", model_folder, *WORDS, *words, "--out", out)
    assert code == 0, err
    return load_findings(out)[0], printed


@pytest.mark.slow
def test_a_limited_evaluation_is_of_evenly_spaced_frames_and_says_so(
    command, model_folder, tmp_path
):
    found, printed = evaluated(command, model_folder, tmp_path, "--limit", 3, "--pictures", 1)
    frames = Streets("test", count=5, **SIZE)
    model = ra.load(model_folder)
    scored = [(model(frames[n].image).score, frames[n].truth.numpy()) for n in PICKED]
    assert found.exact["ap"] == pytest.approx(score_frames(scored, mode="exact")["ap"], abs=1e-6)
    assert [one.id for one in found.per_frame] == [frames.frame_ids()[n] for n in PICKED]
    assert (found.frames, found.listed) == (3, 5)
    assert "streets test: 3 of 5 frames" in printed
    warning = "3 of the split's 5 frames were scored"
    assert warning in printed
    assert warning in html.unescape((tmp_path / "report.html").read_text())
    (row,) = csv.DictReader((tmp_path / "results.csv").open())
    assert row["frames"] == "3 of 5"
    record = json.loads((tmp_path / "record.json").read_text())
    assert record["config"]["limit"] == record["data"][0]["used"] == 3


def test_a_whole_evaluation_has_no_such_column(command, model_folder, tmp_path):
    found, printed = evaluated(command, model_folder, tmp_path, "--pictures", 0)
    assert (found.frames, found.listed) == (5, 5)
    assert "were scored;" not in printed
    (row,) = csv.DictReader((tmp_path / "results.csv").open())
    assert "frames" not in row


@pytest.mark.parametrize("first", [(), ("--limit", 3)])
def test_neither_is_resumed_as_the_other(command, model_folder, tmp_path, monkeypatch, first):
    def stop(*_):
        raise KeyboardInterrupt

    words = ("evaluate", model_folder, *WORDS, "--pictures", 0, "--out", tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(evaluate_command, "_write", stop)
        assert command(*words, *first)[0] == 130
    other = () if first else ("--limit", 3)
    code, _, err = command(*words, *other)
    assert code == 0
    assert f"{3 if first else 5} frames that an earlier, unfinished evaluation scored" in err
    assert "were scored before" not in err


def test_thresholds_of_a_limited_validation_say_so(command, model_folder, tmp_path):
    words = ("--validate_on", "streets", "--validation", '{"split": "val", "count": 4}')
    words = (*words, "--size", 64, 96, "--limit", 2, "--pictures", 0)
    found, _ = evaluated(command, model_folder, tmp_path, *words)
    told = [row.fitted_on for row in found.thresholds if "streets" in row.fitted_on]
    assert told
    assert all("streets val, 2 of 4 frames" in one for one in told)


@pytest.mark.slow
def test_a_limited_fit_is_the_fit_of_these_frames_and_its_run_says_so(
    command, model_folder, tmp_path
):
    data = {
        split: {"name": "streets", "split": split, "count": 5, **SIZE} for split in ("train", "val")
    }
    words = ["--data", json.dumps(data["train"]), "--calibration_data", json.dumps(data["val"])]
    words += ["--detector.name", "mahalanobis", "--limit", 3, "--out", tmp_path]
    code, printed, err = command("fit", "--run", model_folder, *words)
    assert code == 0, err
    expected = Model(ra.load(model_folder).segmenter, ra.detector("mahalanobis"))
    fit(expected, Picked(Streets("train", count=5, **SIZE), PICKED))
    made = ra.load(tmp_path)
    for key, value in expected.detector.state_dict().items():
        assert made.detector.state_dict()[key].equal(value)
    val = Streets("val", count=5, **SIZE)
    pixels = np.concatenate([made(val[n].image).score[val[n].truth == 0] for n in PICKED])
    assert (pixels > made.calibration.threshold).mean() == pytest.approx(0.01, abs=0.001)
    assert made.calibration.data == "streets val, 3 of 5 frames"
    assert "of inlier pixels of streets val, 3 of 5 frames score above" in printed
    assert "at most 3 frames of each set were used" in printed
    record = json.loads((tmp_path / "model" / "model.json").read_text())["record"]
    assert record["config"]["limit"] == 3
    assert [record[f"{part}_data"]["used"] for part in ("fit", "calibration")] == [3, 3]


@pytest.mark.parametrize(
    "command_line", [("evaluate", "--on", "streets"), ("fit", "--data.name", "streets")]
)
def test_a_limit_of_nothing_is_refused(command, command_line):
    code, _, err = command(*command_line, "--limit", 0)
    assert code == 2
    assert "`--limit` is 0; it takes a whole number, 1 or more" in err


def test_picked_frames_keep_their_true_objects():
    class Whole(Streets):
        def instances(self, frame_id):
            return f"objects of {frame_id}"

    frames = Whole("test", count=5, **SIZE)
    last = frames.frame_ids()[4]
    assert Subset(frames, 2).instances(last) == frames.instances(last)
    assert Streets("test", count=5, **SIZE).instances(last) is None
