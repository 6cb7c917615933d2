"""Comparisons: the right references, paired on shared frames, and what makes rows incomparable."""

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from roadanomaly.errors import DataError, OptionError
from roadanomaly.evaluation.findings import save_findings
from roadanomaly.metrics.pixel import pool_curves
from roadanomaly.report.compare_page import most_changed, write_comparison
from roadanomaly.report.comparison import Entry, compare, intervals_of, pair_up, read_runs
from roadanomaly.report.published import published
from roadanomaly.report.tables.compared import (
    difference_table,
    differences_note,
    interval_table,
    numbers_note,
    published_note,
    side_by_side,
    verdict,
)
from roadanomaly.report.tables.formats import to_csv
from roadanomaly.report.tables.results import METRICS
from tests.report.made import make_findings, make_frames, make_scores

FRAMES = make_frames(10)


def found(strength=3.0, frames=FRAMES, seed=0, **changes):
    return make_findings(frames, make_scores(frames, strength, seed), **changes)


def save(folder, *findings):
    for one in findings:
        save_findings(folder, one)
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    base = tmp_path_factory.mktemp("runs")
    weak = save(base / "weak", found(1.0), found(1.2, detector="msp", seed=1))
    strong = save(base / "strong", found(4.0, supervision="pasted COCO objects"))
    return weak, strong


@pytest.fixture(scope="module")
def comparison(runs):
    return compare(read_runs(runs), resamples=200)


def test_each_entry_meets_its_namesake_or_the_first_detector(runs):
    entries = read_runs(runs)
    names = [(first.name, second.name) for first, second in pair_up(entries)]
    assert names == [("weak: energy", "weak: msp"), ("weak: energy", "strong: energy")]
    against = [(first.name, second.name) for first, second in pair_up(entries, "msp")]
    assert against == [("weak: msp", "weak: energy"), ("weak: msp", "strong: energy")]
    only = read_runs(runs, ["energy"])
    assert [entry.name for entry in only] == ["weak: energy", "strong: energy"]


def test_numbers_and_differences_are_those_of_the_findings(comparison):
    pair = comparison.pairs[1]
    weak, strong = pair.first.found, pair.second.found
    for metric in METRICS:
        step = pair.differences[metric.key]
        wanted = strong.official[metric.key] - weak.official[metric.key]
        assert step.value == pytest.approx(wanted, abs=1e-12, nan_ok=True)
        if not np.isnan(wanted):
            assert step.low <= step.value <= step.high
    assert pair.differences["ap"].low > 0
    assert verdict(METRICS[0], pair.differences["ap"]) == "better"
    assert verdict(METRICS[1], pair.differences["fpr95"]) == "better"
    assert verdict(METRICS[1], replace(pair.differences["fpr95"], value=0.1, low=0.05)) != "better"


def test_where_every_object_is_too_small_the_interval_is_of_the_finding_s_number():
    frames, scores = [], {}
    for one in FRAMES[:3]:
        truth = torch.zeros_like(one.truth)
        truth[:5, :5] = 1
        frames.append(replace(one, anomaly=truth))
        scores[one.id] = np.zeros(truth.shape, np.float32)
        scores[one.id][:5, :5], scores[one.id][40:80, 40:80] = 5, 6
    made = make_findings(frames, scores)
    assert all(frame.objects.ppv.size == 1 for frame in made.per_frame)
    intervals = intervals_of(Entry("run", Path(), made), resamples=20)
    assert made.official["f1"] == 0
    for name in ("siou", "ppv", "f1"):
        np.testing.assert_equal(intervals[name].value, made.official[name])


def test_intervals_are_those_of_redrawn_frames(comparison):
    curves = [frame.curve for frame in comparison.pairs[1].first.found.per_frame]
    others = [frame.curve for frame in comparison.pairs[1].second.found.per_frame]
    weights = np.random.default_rng(0).multinomial(10, np.full(10, 0.1), size=200)

    def ap(held, drawn):
        return pool_curves(
            [curve for curve, n in zip(held, drawn, strict=True) for _ in range(n)]
        ).ap

    steps = [ap(others, drawn) - ap(curves, drawn) for drawn in weights]
    step = comparison.pairs[1].differences["ap"]
    assert [step.low, step.high] == pytest.approx(np.nanquantile(steps, [0.025, 0.975]), abs=2e-3)


def test_a_run_against_its_double_is_unclear(runs, tmp_path):
    double = save(tmp_path / "double", found(1.0))
    pair = compare(read_runs([runs[0], double], ["energy"]), resamples=50).pairs[0]
    assert np.nanmax([abs(step.value) for step in pair.differences.values()]) == 0
    assert {row[-2] for row in difference_table([pair]).rows} == {"unclear"}


def test_different_frames_are_compared_on_the_shared_ones(runs, tmp_path):
    fewer = save(tmp_path / "fewer", found(2.0, FRAMES[2:8]))
    pair = compare(read_runs([runs[0], fewer], ["energy"]), resamples=20).pairs[0]
    assert len(pair.shared) == 6
    assert "6 frames are shared, 4 belong to the first only and 0 to the second" in pair.notes[0]
    held = [f.curve for f in pair.first.found.per_frame if f.id in pair.shared]
    assert pair.before["ap"] == pytest.approx(pool_curves(held).ap, abs=1e-12)
    row = difference_table([pair]).rows[0]
    assert row[7] == pytest.approx(row[6] - row[5], abs=1e-12)


def test_no_shared_frame_other_labels_and_other_rules_are_told(runs, tmp_path):
    renamed = [replace(frame, id=f"x{frame.id}") for frame in FRAMES]
    apart = save(tmp_path / "apart", found(2.0, renamed))
    pair = compare(read_runs([runs[0], apart], ["energy"]), resamples=5).pairs[0]
    assert pair.shared == ()
    assert pair.differences == {}
    assert "0 frames are shared" in pair.notes[0]
    path = tmp_path / "c.html"
    write_comparison(path, compare(read_runs([runs[0], apart], ["energy"]), resamples=5))
    assert "The two runs share no frame." in path.read_text()

    other = make_frames(10, seed=5)
    changed = save(tmp_path / "changed", found(2.0, other, track="obstacle"))
    notes = compare(read_runs([runs[0], changed], ["energy"]), resamples=5).pairs[0].notes
    assert "the labels of 9 frames hold different numbers" in notes[0]
    assert "the track differs, 'anomaly' and 'obstacle'" in notes[1]


def test_tables_say_what_each_learned_from(comparison):
    table = side_by_side(comparison)
    assert "strong: energy: inliers, pasted COCO objects" in table.notes[0]
    rows = list(csv.DictReader(io.StringIO(to_csv(table))))
    assert [row["learned_from"] for row in rows] == [
        "inliers",
        "inliers",
        "inliers, pasted COCO objects",
    ]
    assert float(rows[2]["ap"]) == comparison.entries[2].found.official["ap"]
    intervals = list(csv.DictReader(io.StringIO(to_csv(interval_table(comparison)))))
    assert len(intervals) == 3 * len(METRICS)
    assert float(intervals[0]["low"]) <= float(intervals[0]["value"]) <= float(intervals[0]["high"])


def test_published_numbers_are_marked_and_never_best(comparison):
    table = side_by_side(comparison, with_published=True)
    papers = [row for row in table.rows if row[1] == "published"]
    assert len(papers) == len(published("roadanomaly")) == len(table.quiet)
    assert not any(row in table.quiet for row, _ in table.best)
    shown = {row[2]: row for row in papers}
    columns = [column.key for column in table.columns]
    uem = dict(zip(columns, shown["UEM G-G"], strict=True))
    assert (uem["ap"], uem["fpr95"]) == pytest.approx((0.9375, 0.0632))
    assert uem["learned_from"] == "inliers, outlier data"
    assert uem["scored_on"] == "test, 60 frames"
    assert "None is known" not in published_note(comparison)


def test_published_rows_are_plausible_and_whole():
    sets = ("smiyc-anomaly", "smiyc-obstacle", "fishyscapes-laf", "fishyscapes-static")
    rows = [row for name in (*sets, "roadanomaly") for row in published(name)]
    assert len(rows) == 110
    assert all(0 < value < 1 for row in rows for value in row.numbers.values())
    assert all("ap" in row.numbers and row.source and row.learned_from for row in rows)
    keys = [(row.set, row.split, row.method, row.outlier_data) for row in rows]
    assert len(set(keys)) == len(keys)
    contmav = next(row for row in rows if row.method == "ContMAV")
    assert contmav.numbers == {
        "ap": 0.902,
        "fpr95": 0.038,
        "siou": 0.545,
        "ppv": 0.619,
        "f1": 0.636,
    }
    assert published("laf-noknown") == []


def test_page_holds_the_numbers_and_every_shared_frame(comparison, tmp_path):
    path = tmp_path / "compare.html"
    write_comparison(path, comparison, with_published=True)
    text = path.read_text()
    data = json.loads(re.search(r'<script id="data"[^>]*>(.*?)</script>', text, re.S)[1])
    assert [entry["name"] for entry in data["entries"]] == [e.name for e in comparison.entries]
    assert data["pairs"][1]["first"] == 0
    assert data["pairs"][1]["second"] == 2
    step = comparison.pairs[1].differences["ap"]
    for value in (step.value, step.low, step.high):
        assert f"{100 * value:+.2f}" in text
    assert not re.search(r"https?:|@import|\bfetch\(", text)
    order = most_changed(comparison.pairs[1])
    assert len(order) == 9


def test_mistakes_are_told(runs, tmp_path):
    with pytest.raises(DataError, match="holds no evaluation"):
        read_runs([runs[0], tmp_path])
    with pytest.raises(OptionError, match="named twice"):
        read_runs([runs[0], runs[0]])
    with pytest.raises(OptionError, match="`energy`"):
        read_runs(runs, ["enrgy"])
    with pytest.raises(OptionError, match="no detector 'enrgy' on roadanomaly"):
        pair_up(read_runs(runs), "enrgy")
    with pytest.raises(DataError, match="nothing to compare"):
        pair_up(read_runs([runs[1]]))
    with pytest.raises(OptionError, match="confidence"):
        compare(read_runs(runs), confidence=2.0)


def test_runs_of_one_name_are_told_apart(tmp_path):
    folders = [save(tmp_path / name / "eval", found()) for name in "ab"]
    assert [entry.run for entry in read_runs(folders)] == ["a/eval", "b/eval"]


def test_other_numbers_and_another_precision_are_told(runs, tmp_path):
    """A run of `--mode exact` has no official numbers, but official curves for the bootstrap."""
    strong = found(4.0, official={}, precision="bf16")
    exact = save(tmp_path / "exact", strong)
    made = compare(read_runs([runs[0], exact], ["energy"]), resamples=5)
    (pair,) = made.pairs
    assert "the first's numbers are official and the second's exact" in pair.notes[0]
    assert "the precision differs, 'f32' and 'bf16'" in pair.notes[1]
    assert numbers_note(made).startswith("In percent, of two kinds that do not compare")
    assert differences_note(made).endswith("also where those side by side are exact.")
    assert pair.after["ap"] == pytest.approx(
        pool_curves([frame.curve for frame in strong.per_frame]).ap, abs=1e-12
    )
    write_comparison(tmp_path / "c.html", made)
    page = tmp_path.joinpath("c.html").read_text()
    assert "official: weak: energy; exact: exact: energy" in page
    assert "As the benchmark computes them" not in page

    alone = compare(read_runs([exact, save(tmp_path / "b", strong)]), resamples=5)
    assert not alone.pairs[0].notes
    assert numbers_note(alone).startswith("By a full sort of all pixels")
