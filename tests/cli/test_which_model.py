"""`--model`, a run before the inputs, and the package's own models mean one model each."""

import json

import numpy as np
import pytest

import roadanomaly as ra
from roadanomaly.errors import DataError

pytestmark = pytest.mark.slow

SHAPE = ("--data.split", "test", "--data.count", 2, "--data.height", 64, "--data.width", 128)


def scores(folder):
    return {path.name: np.load(path) for path in folder.glob("*_score.npy")}


def test_predict_takes_the_default_model_a_name_or_a_folder(command, box, photos, tmp_path):
    """Each writes what the model scores that is meant."""
    words = {
        "none": (photos,),
        "name": (photos, "--model", "fast"),
        "folder": (photos, "--model", box / "fast"),
        "run": (box / "default", photos),
    }
    for name, given in words.items():
        code, _, err = command("predict", *given, "--out", tmp_path / name)
        assert code == 0, err
        expected = ra.load(box / "fast")(photos / "a.jpg").score
        found = scores(tmp_path / name)
        assert len(found) == 3
        np.testing.assert_array_equal(found["a_score.npy"], expected)


def test_python_loads_by_name_and_a_folder_wins(box, model_folder, tmp_path, monkeypatch, photos):
    image = photos / "a.jpg"
    default = ra.load()(image).score
    np.testing.assert_array_equal(ra.load("default")(image).score, default)
    np.testing.assert_array_equal(ra.load("fast")(image).score, default)
    monkeypatch.chdir(tmp_path)
    other = ra.load(model_folder)
    other.min_area = 7
    other.save("fast")
    assert ra.load("fast").min_area == 7
    (tmp_path / "default").mkdir()  # a folder without a model stands in no name's way
    assert ra.load("default").min_area != 7


def test_what_is_neither_a_folder_nor_a_name_is_explained(box):
    with pytest.raises(DataError, match=r"comes with the package.*`fast`"):
        ra.load("fsat")


def test_an_installation_without_models_says_so(empty_box):
    with pytest.raises(DataError, match=r"carries no model `default`.*nor any other"):
        ra.load()
    with pytest.raises(DataError, match="carries no model of its own"):
        ra.load("fast")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("{box}/fast", "{photos}", "--model", "fast"), ("both a run", "one of them")),
        (("{box}/fast",), ("name at least one image after it",)),
        (("runs/none", "{photos}"), ("as a run nor as an image", "does not exist")),
        (("fast", "{photos}"), ("as a run nor as an image", "--model fast")),
        (("{box}", "{photos}"), ("as a run nor as an image", "holds neither")),
        (("{photos}/none.jpg",), ("names no image",)),
        (("{photos}", "--model", "runs/none"), ("no model at", "comes with the package")),
        (("{photos}", "--sensitivity", "lwo"), ("it takes low, normal, high",)),
        (
            ("{photos}", "--sensitivity", "low", "--false_alarms", "0.1"),
            ("both set the threshold",),
        ),
        (("{photos}", "--sensitivity", "low", "--threshold_by", "f1"), ("both set the threshold",)),
    ],
)
def test_a_word_that_is_neither_run_nor_image_is_explained(words, expected, command, box, photos):
    code, _, err = command("predict", *(word.format(box=box, photos=photos) for word in words))
    assert code == 2
    for part in (*expected, "roadanomaly predict"):
        assert part in err
    assert "Traceback" not in err


def test_named_thresholds_are_quantiles_and_masks_grow_with_them(
    command, box, model_folder, photos, tmp_path
):
    """A mask at a sensitivity is the one at its false-alarm rate."""
    rates = {"low": 0.02, "normal": 0.05, "high": 0.2}
    areas = []
    for name, rate in rates.items():
        one, other = tmp_path / name, tmp_path / f"{name} by rate"
        assert command("predict", photos, "--sensitivity", name, "--out", one)[0] == 0
        assert command("predict", photos, "--false_alarms", rate, "--out", other)[0] == 0
        found = json.loads((one / "a_components.json").read_text())
        expected = json.loads((other / "a_components.json").read_text())
        assert found["threshold"] == pytest.approx(expected["threshold"], rel=1e-6)
        assert (one / "a_mask.png").read_bytes() == (other / "a_mask.png").read_bytes()
        areas.append(sum(component["area"] for component in found["components"]))
    assert areas == sorted(areas)
    code, _, err = command("predict", model_folder, photos, "--sensitivity", "low")
    assert code == 2
    assert "no named thresholds" in err
    assert "--false_alarms" in err


def test_evaluate_scores_what_is_named_and_else_the_default(command, box, model_folder, tmp_path):
    words = ("--on", "streets", *SHAPE, "--detectors", "none", "--pictures", 0)

    def detectors(*given):
        out = tmp_path / str(len(list(tmp_path.iterdir())))
        code, _, err = command("evaluate", *given, *words, "--out", out)
        assert code == 0, err
        return list(json.loads((out / "metrics.json").read_text())["streets"]["detectors"])

    assert detectors() == ["energy"]
    both = detectors(model_folder, "--model", "fast")
    assert len(both) == 2
    assert {name.split(" ")[0] for name in both} == {"energy"}
    network = ("--segmenter.name", "espnetv2", "--segmenter.scale", 0.5)
    (alone,) = (
        command("evaluate", *network, *words[:-4], "--detectors", "msp", "--out", tmp_path / "n"),
    )
    assert alone[0] == 0
    found = json.loads((tmp_path / "n" / "metrics.json").read_text())["streets"]["detectors"]
    assert list(found) == ["msp"]


def test_fit_moves_the_threshold_of_the_default_model(command, box, tmp_path):
    data = ("--data.name", "streets", "--data.count", 2, "--data.height", 64, "--data.width", 128)
    code, _, err = command("fit", *data, "--false_alarms", 0.1, "--out", tmp_path / "run")
    assert code == 0, err
    assert ra.load(tmp_path / "run").calibration.rate == 0.1
    code, _, err = command("fit", *data, "--model", "fast", "--run", box / "fast")
    assert code == 2
    assert "give one of them" in err


def test_list_models_says_what_each_is(command, box):
    code, out, _ = command("list", "models")
    assert code == 0
    names = [
        line.split()[0] for line in out.splitlines() if line.startswith("  ") and line[2] != " "
    ]
    assert names == ["default", "fast"]
    assert "energy on espnetv2" in out
    assert "sensitivities: low, normal, high" in out
    assert "a black image" in out


def test_list_models_of_an_installation_without(command, empty_box):
    code, out, _ = command("list", "models")
    assert code == 0
    assert "carries no model" in out
