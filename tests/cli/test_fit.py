"""`roadanomaly fit`: what it refuses to learn from, and what it says a model learned from."""

import json

import cv2
import numpy as np
import pytest
import torch
import yaml

import roadanomaly as ra
from roadanomaly.data import DATASETS
from roadanomaly.model import Model
from roadanomaly.refiners import REFINERS
from roadanomaly.types import VOID

STREETS = "{name: streets, split: %s, count: 2, height: 64, width: 96}"
SHAPES = "{name: shapes, look: {side: [12, 30]}}"


def fit(command, model_folder, out, split, *words):
    data = ["--data", STREETS % split, "--calibration_data", STREETS % "val"]
    return command("fit", "--run", model_folder, *data, *words, "--out", out)


def test_a_refiner_that_learns_from_negatives_is_not_fitted_on_a_test_set(
    command, model_folder, tmp_path
):
    refiners = ["--refiners", "[{name: meta_classification}]"]
    code, _, err = fit(command, model_folder, tmp_path, "test", *refiners)
    assert code == 2
    assert "streets test is a set to test on" in err
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("key", ["false_alarms", "held_out", "out"])
def test_a_key_without_a_value_is_named(command, tmp_path, key):
    path = tmp_path / "fit.yaml"
    path.write_text(f"data: {{name: streets}}\n{key}:\n")
    code, _, err = command("fit", path)
    assert code == 2
    assert f"config: `{key}` has no value" in err


@pytest.mark.parametrize("detector", [[], ["--detector.name", "energy"]])
def test_negatives_of_a_refiner_are_not_the_detector_s(command, model_folder, tmp_path, detector):
    words = ["--refiners", "[{name: p_value}]", "--negatives", SHAPES]
    code, _, err = fit(command, model_folder, tmp_path, "val", *detector, *words)
    assert code == 0, err
    described = json.loads((tmp_path / "model" / "model.json").read_text())
    assert (described["detector_trained_on"] is not None) == bool(detector)


@pytest.mark.parametrize("words", [(), ("--refiners", "[{name: smooth}]")])
def test_negatives_that_nothing_learns_from_are_refused(command, model_folder, tmp_path, words):
    code, _, err = fit(command, model_folder, tmp_path, "val", *words, "--negatives", SHAPES)
    assert code == 2
    assert "nothing here learns from them" in err


def test_a_threshold_alone_says_no_more_than_that(command, model_folder, tmp_path):
    """What was learned before stays on record, and the frames of the threshold are no lesson."""
    assert fit(command, model_folder, tmp_path / "a", "val")[0] == 0
    assert fit(command, tmp_path / "a", tmp_path / "b", "train")[0] == 0
    record = json.loads((tmp_path / "b" / "model" / "model.json").read_text())["record"]
    assert record["fit_data"] is None
    assert record["calibration_data"]["split"] == "val"
    assert record["earlier"]["calibration_data"]["split"] == "val"


def test_named_thresholds_are_set_anew_on_the_new_frames(command, model_folder, tmp_path):
    model = ra.load(model_folder)
    rates = {"low": 0.01, "normal": 0.05, "high": 0.2}
    named = {name: model.calibration.threshold_at(rate) for name, rate in rates.items()}
    model.calibration = model.calibration.with_sensitivities(named)
    model.save(tmp_path / "named")
    code, out, _ = fit(command, tmp_path / "named", tmp_path / "fitted", "val")
    assert code == 0
    assert "as many of these pixels as of those before exceed low" in out
    fitted = ra.load(tmp_path / "fitted")
    frames = DATASETS.from_spec(yaml.safe_load(STREETS % "val"))
    scores = np.concatenate([fitted(one.image).score[one.label.numpy() < VOID] for one in frames])
    for name, rate in rates.items():
        threshold = fitted.calibration.at_sensitivity(name).threshold
        assert (scores > threshold).mean() == pytest.approx(rate, rel=0.05)


def test_a_detector_of_roads_is_calibrated_on_the_road(command, model_folder, tmp_path):
    model = Model(ra.load(model_folder).segmenter, ra.detector("jsrnet"))
    model.detector.ready = True
    model.save(tmp_path / "road")
    code, out, err = fit(command, tmp_path / "road", tmp_path / "out", "val")
    assert code == 0, err
    fitted = ra.load(tmp_path / "out")
    record = fitted.record["calibration_data"]
    frames = DATASETS.from_spec(yaml.safe_load(STREETS % "val"))
    labels = np.stack([frame.label.numpy() for frame in frames])
    ground = [frames.classes.index(name) for name in ("road", "sidewalk")]
    assert record["region"] == "road"
    assert fitted.calibration.pixels == np.isin(labels, ground).sum()
    assert "streets val, road region score above" in out


@pytest.mark.parametrize("head", ["void_classifier", "jsrnet"])
def test_weights_of_a_fusion_are_not_fitted_on_a_test_set_whatever_its_heads_learned_from(
    command, model_folder, tmp_path, head
):
    model = Model(ra.load(model_folder).segmenter, ra.detector(head))
    model.detector.ready = True
    model.save(tmp_path / "head")
    heads = json.dumps([{"run": str(tmp_path / "head")}, {"detector": {"name": "energy"}}])
    words = ["--detector.name", "fusion", "--detector.rule", "learned", "--detector.heads", heads]
    words += ["--negatives", SHAPES]
    code, _, err = fit(command, model_folder, tmp_path / "out", "test", *words)
    assert code == 2
    assert "streets test is a set to test on" in err


def test_all_frames_are_brought_to_the_size_that_was_asked_for(
    command, model_folder, tmp_path, monkeypatch
):
    seen = []

    def judged(_, frames, batch):
        seen.extend(tuple(frame.image.shape[-2:]) for frame in frames)
        return 0.0

    monkeypatch.setattr("roadanomaly.cli.fit.best_f1_threshold", judged)
    words = ["--validation_data", STREETS % "test", "--size", 32, 48]
    words += ["--refiners", "[{name: p_value}]"]
    code, _, err = fit(command, model_folder, tmp_path, "val", *words)
    assert code == 0, err
    assert seen == [(32, 48)] * 2
    record = json.loads((tmp_path / "model" / "model.json").read_text())["record"]
    parts = [record[f"{part}_data"]["size"] for part in ("fit", "calibration", "validation")]
    assert parts == [[32, 48]] * 3


def two_classes(folder):
    """Write a frame whose halves are of two classes; return the words that open it."""
    for name in ("images", "labels"):
        (folder / name).mkdir()
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (64, 96, 3), dtype=np.uint8)
    label = np.repeat(np.uint8([[0, 1]]), 48, 1).repeat(64, 0)
    for part, pixels in (("images", image), ("labels", label)):
        cv2.imwrite(str(folder / part / "a.png"), pixels)
    asked = {"name": "folder", "root": str(folder), "kind": "classes", "classes": ["way", "sky"]}
    return ["--data", json.dumps(asked)]


@pytest.mark.parametrize(("detector", "expected"), [("mahalanobis", 2), ("pca", 0)])
def test_classes_that_the_network_does_not_know_are_refused_where_the_detector_reads_them(
    command, model_folder, tmp_path, detector, expected
):
    words = [*two_classes(tmp_path), "--detector.name", detector, "--out", tmp_path / "out"]
    code, _, err = command("fit", "--run", model_folder, *words)
    assert code == expected, err
    assert (tmp_path / "out" / "model").exists() == (not expected)
    said = "the data set folder all has 2 classes and the segmenter 19, and number 0 is 'way' there"
    assert (said in err) == bool(expected)


def test_outside_a_terminal_the_walks_say_how_far_they_are(
    command, model_folder, tmp_path, monkeypatch
):
    monkeypatch.setattr("roadanomaly.progress.PAUSE", 0.0)
    words = ["--detector.name", "pca", "--validation_data", STREETS % "outliers"]
    code, _, err = fit(command, model_folder, tmp_path, "val", *words)
    assert code == 0, err
    told = [line.split(",")[0] for line in err.splitlines()]
    walks = ("calibrate", "best F1")
    assert [one for one in told if one.startswith(walks)] == [
        f"{walk}: {n} of 2 frames" for walk in walks for n in (1, 2)
    ]
    first = told[0].split(":")[0]
    assert first not in walks
    assert told[:2] == [f"{first}: {n} of 2 frames" for n in (1, 2)]


@pytest.mark.parametrize("limit", [[], ["--limit", 1]])
def test_validation_frames_without_an_anomaly_are_refused_before_anything_is_fitted(
    command, model_folder, tmp_path, monkeypatch, limit
):
    monkeypatch.setattr("roadanomaly.cli.fit.fit", lambda *_: pytest.fail("it has begun"))
    words = ["--detector.name", "pca", "--validation_data", STREETS % "val", *limit]
    code, _, err = fit(command, model_folder, tmp_path, "train", *words)
    assert code == 2
    part = ", 1 of 2 frames" if limit else ""
    assert f"--validation_data: no frame of streets val{part} shows an anomaly" in err
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(("refiners", "kept"), [("[]", []), ("[{name: smooth}]", ["Smooth"])])
def test_what_adapt_taught_a_model_stays_before_other_refiners(
    command, model_folder, tmp_path, refiners, kept
):
    """A correction that adds 3 everywhere, before a refiner that goes and one that comes."""
    plain = ra.load(model_folder)
    image = np.random.default_rng(0).integers(0, 255, (64, 96, 3), dtype=np.uint8)
    before = plain.refine([REFINERS.build("smooth", {})] if kept else [])(image).score
    adapted = ra.load(model_folder)
    adapted.refine([REFINERS.build("correction", {}), REFINERS.build("blur", {})])
    torch.nn.init.constant_(adapted.head.refiners[0].last.bias, 3.0)
    adapted.save(tmp_path / "adapted")
    words = ["--refiners", refiners]
    code, _, err = fit(command, tmp_path / "adapted", tmp_path / "fitted", "val", *words)
    assert code == 0, err
    fitted = ra.load(tmp_path / "fitted")
    assert [type(one).__name__ for one in fitted.head.refiners] == ["Correction", *kept]
    np.testing.assert_allclose(fitted(image).score, before + 3, atol=1e-4)
