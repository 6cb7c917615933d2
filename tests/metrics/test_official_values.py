"""Our numbers on the twenty cases against the benchmark's own tool and scikit-learn."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from official_cases import CASES, digest
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from roadanomaly.metrics import Components, PixelExact, PixelOfficial, score_frames

VALUES = json.loads(Path(__file__).with_name("official_values.json").read_text())["cases"]
PRECISIONS = ("float16", "float32")
SCALARS = ("ap", "auroc", "fpr95", "best_f1", "best_f1_threshold")
TIED_ONLY_AS_HALVES = {"c18_overflow_half"}


CASE_NAMES = [
    pytest.param(name, marks=[pytest.mark.slow] if name == "c20_large" else []) for name in VALUES
]


def load(name, precision):
    with np.errstate(over="ignore"):
        return [(score.astype(precision), label) for score, label in CASES[name]()]


def accumulate(metric, frames):
    for index, frame in enumerate(frames):
        metric.update(index, *frame)
    return metric.compute()


def same(ours, theirs):
    if theirs is None:
        return math.isnan(ours)
    return ours == pytest.approx(theirs, rel=0, abs=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("name", VALUES)
def test_the_case_has_the_bytes_that_the_official_tool_saw(name):
    assert digest(CASES[name]()) == VALUES[name]["sha256"]


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", CASE_NAMES)
def test_pixel_metrics_equal_the_official_tool(name, precision):
    ours = accumulate(PixelOfficial(), load(name, precision))
    theirs = VALUES[name][precision]["official"]
    ranges = VALUES[name].get("order_range", {})
    if name in TIED_ONLY_AS_HALVES and precision == "float32":
        ranges = {}
    for key in SCALARS:
        value = getattr(ours, key)
        if key in ranges:
            low, high = ranges[key]
            assert low - 1e-9 <= value <= high + 1e-9, key
        else:
            assert same(value, theirs[key]), (key, value, theirs[key])


@pytest.mark.parametrize("track", ["anomaly", "obstacle"])
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", CASE_NAMES)
def test_component_metrics_equal_the_official_tool(name, precision, track):
    threshold = VALUES[name][precision]["official"]["best_f1_threshold"]
    ours = accumulate(Components(track, threshold), load(name, precision))
    theirs = VALUES[name][precision][track]
    for key in ("siou", "ppv", "f1"):
        assert same(getattr(ours, key), theirs[key]), key
    for key in ("tp", "fn", "fp"):
        assert getattr(ours, key).tolist() == theirs[key], key


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", CASE_NAMES)
def test_exact_metrics_equal_the_stored_ones(name, precision):
    ours = accumulate(PixelExact(), load(name, precision))
    for key in SCALARS:
        assert same(getattr(ours, key), VALUES[name][precision]["exact"][key]), key


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", ["c01_basic", "c02_ties", "c05_extreme_range", "c17_single_pixel"])
def test_exact_metrics_equal_scikit_learn(name, precision):
    frames = load(name, precision)
    ours = accumulate(PixelExact(), frames)
    score = np.concatenate([score[label < 255] for score, label in frames]).astype(np.float32)
    truth = np.concatenate([label[label < 255] for _, label in frames])
    assert same(ours.ap, average_precision_score(truth, score))
    assert same(ours.auroc, roc_auc_score(truth, score))
    fpr, tpr, _ = roc_curve(truth, score, drop_intermediate=False)
    assert same(ours.fpr95, fpr[np.argmax(tpr >= 0.95)])
    points = set(zip(fpr.tolist(), tpr.tolist(), strict=True))
    assert points.issuperset(zip(ours.fpr.tolist(), ours.tpr.tolist(), strict=True))


@pytest.mark.parametrize("track", ["anomaly", "obstacle"])
def test_one_call_gives_the_same_as_the_parts(track):
    theirs = VALUES["c01_basic"]["float16"]
    ours = score_frames(iter(load("c01_basic", "float16")), track=track)
    expected = theirs["official"] | {key: theirs[track][key] for key in ("siou", "ppv", "f1")}
    assert ours == pytest.approx(expected, rel=0, abs=1e-9)
