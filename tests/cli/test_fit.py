"""`roadanomaly fit`: what it refuses to learn from, and what it says a model learned from."""

import json

import pytest

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


@pytest.mark.parametrize("detector", [[], ["--detector.name", "energy"]])
def test_negatives_of_a_refiner_are_not_the_detector_s(command, model_folder, tmp_path, detector):
    words = ["--refiners", "[{name: smooth}]", "--negatives", SHAPES]
    code, _, err = fit(command, model_folder, tmp_path, "val", *detector, *words)
    assert code == 0, err
    described = json.loads((tmp_path / "model" / "model.json").read_text())
    assert (described["detector_trained_on"] is not None) == bool(detector)
