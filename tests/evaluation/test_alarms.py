"""The objects that an evaluation's thresholds find are those that the metric counts by itself."""

import json

import numpy as np
import pytest

from roadanomaly.calibration import calibrate, just_below
from roadanomaly.evaluation.evaluate import evaluate
from roadanomaly.evaluation.findings import load_findings, save_findings
from roadanomaly.metrics import Alarms
from roadanomaly.report.table import format_thresholds
from roadanomaly.report.tables.results import threshold_table
from tests.evaluation.scenes import Drawn, Scenes, job


@pytest.fixture(scope="module")
def found():
    source = Drawn()
    inliers = (source.score(f).scores["drawn"][f.truth.numpy() == 0] for f in Scenes(seed=3))
    source.calibrations = {"drawn": calibrate(inliers, 0.05, "other scenes")}
    (finding,) = evaluate(job(source, Scenes(4)))
    return finding


def test_every_threshold_says_what_the_metric_counts(found):
    assert [row.way for row in found.thresholds] == [
        "best F1",
        "false-positive rate",
        "conformal",
    ]
    for row in found.thresholds[1:]:
        alarms = Alarms(row.threshold, "obstacle")
        for frame in Scenes(4):
            alarms.update(frame.id, Drawn().score(frame).scores["drawn"], frame.truth.numpy())
        counted = alarms.compute()
        assert counted.objects
        np.testing.assert_equal(row.found, counted.recall)
        np.testing.assert_equal(row.false_a_frame, counted.false_a_frame)
        np.testing.assert_equal(row.clean, counted.clean_share)


def test_the_tables_show_them(found):
    line = format_thresholds([found]).splitlines()[2]
    assert line.rstrip().endswith("objects found ↑  false/frame ↓")
    assert [column.key for column in threshold_table([found]).columns][-2:] == [
        "found",
        "false_a_frame",
    ]


def test_they_are_kept_and_older_findings_lack_them(found, tmp_path):
    save_findings(tmp_path, found)
    (kept,) = load_findings(tmp_path)
    assert [row.found for row in kept.thresholds] == [row.found for row in found.thresholds]
    path = next(tmp_path.glob("findings/*/*.json"))
    held = json.loads(path.read_text())
    for row in held["thresholds"]:
        del row["found"], row["false_a_frame"], row["clean"]
    path.write_text(json.dumps(held))
    (older,) = load_findings(tmp_path)
    assert all(
        np.isnan([row.found, row.false_a_frame, row.clean]).all() for row in older.thresholds
    )
    assert format_thresholds([older]).splitlines()[3].split()[-2:] == ["–", "–"]


@pytest.mark.parametrize("mode", ["official", "both"])
def test_thresholds_cut_half_precision_scores_as_float32_ones(mode):
    """All scores are halves, so that `official`, which keeps them as such, changes no mask."""
    source = Drawn(np.float16)
    scores = [(source.score(f).scores["drawn"], f.truth.numpy()) for f in Scenes(3)]
    inliers = np.concatenate([score[truth == 0] for score, truth in scores]).astype(np.float32)
    threshold = just_below(float(np.quantile(inliers, 0.9, method="higher")))
    assert float(np.float16(threshold)) > threshold
    calibration = calibrate([inliers], 0.1, "these scenes").with_f1(threshold, "these scenes")
    source.calibrations = {"drawn": calibration}
    (finding,) = evaluate(job(source, Scenes(3), mode=mode))
    row = finding.thresholds[-1]
    assert row.threshold == threshold
    assert row.fpr == (inliers > threshold).mean()
