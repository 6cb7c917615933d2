"""What is wrong with a model's folder."""

from __future__ import annotations

import json

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tests.mistakes.bench import case, truncate

GOOD = {"rates": [0.01, 1.0], "scores": [2.0, -1.0], "rate": 0.01, "pixels": 9, "data": "x"}


def describe(bench, **changed):
    """Change entries of the model's description; `part__key` is an entry of a part."""
    path = bench.model / "model" / "model.json"
    held = json.loads(path.read_text())
    for name, value in changed.items():
        part, _, key = name.partition("__")
        if key:
            held[part][key] = value
        else:
            held[part] = value
    path.write_text(json.dumps(held))
    return bench.modelled()


def spoil_weights(bench, value):
    path = bench.model / "model" / "weights.safetensors"
    weights = load_file(path)
    name = max(weights, key=lambda one: weights[one].size)
    weights[name].flat[3] = value
    save_file(weights, path)


@case("the model's folder does not exist", "no model at", "there is no such folder")
def model_missing(bench):
    return bench.evaluate(bench.root / "nowhere", "--root", bench.root)


@case("the model's folder holds something else", "no model at", "maps")
def model_of_no_kind(bench):
    return bench.evaluate(bench.maps, "--root", bench.root)


@case("the model's description is cut off", "is broken")
def model_truncated(bench):
    truncate(bench.model / "model" / "model.json")
    return bench.modelled()


@case("the model's weights are cut off", "is broken")
def weights_truncated(bench):
    truncate(bench.model / "model" / "weights.safetensors")
    return bench.modelled()


@case("the model is of another version", "its format is 99")
def model_of_another_version(bench):
    path = bench.model / "model" / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 99}))
    return bench.modelled()


@case("the segmenter's weights do not exist", "nowhere.pth")
def segmenter_weights_missing(bench):
    words = ("--segmenter.name", "espnetv2", "--segmenter.weights", bench.root / "nowhere.pth")
    return bench.evaluate(*words, "--root", bench.root)


@case("a weight is NaN", "are not finite: 1 of", "The training diverged")
def weight_nan(bench):
    spoil_weights(bench, np.nan)
    return bench.modelled()


@case("predict: a weight is infinite", "are not finite: 1 of", "The training diverged")
def weight_infinite(bench):
    spoil_weights(bench, np.inf)
    return ["predict", str(bench.model), str(bench.track / "images")]


@case("video: a weight is NaN", "are not finite: 1 of")
def video_weight_nan(bench):
    spoil_weights(bench, np.nan)
    return ["video", str(bench.model), str(bench.track / "images")]


@case("the description is 200,000 brackets", "is broken", "nested too deeply")
def brackets(bench):
    (bench.model / "model" / "model.json").write_text("[" * 200_000)
    return bench.modelled()


@case("the description is a list", "is broken", "holds a list, and not an object")
def description_list(bench):
    (bench.model / "model" / "model.json").write_text("[1, 2]")
    return bench.modelled()


@case("the description is a word", "is broken", "holds a word")
def description_word(bench):
    (bench.model / "model" / "model.json").write_text('"model"')
    return bench.modelled()


@case("the segmenter is a list", "`segmenter` is ['espnetv2'], not an object")
def segmenter_list(bench):
    return describe(bench, segmenter=["espnetv2"])


@case("the segmenter has no name", "`segmenter` is", "not an object with a `name`")
def segmenter_nameless(bench):
    return describe(bench, segmenter__name=7)


@case("the detector is nothing", "`detector` is None")
def detector_nothing(bench):
    return describe(bench, detector=None)


@case("the saved detector is unknown", "no detector is called 'enrgy'")
def detector_of_no_name(bench):
    return describe(bench, detector__name="enrgy")


@case("the detector has an option too many", "`warmth` is not an option")
def detector_option(bench):
    return describe(bench, detector__warmth=2)


@case("the segmenter's weights lie elsewhere", "`segmenter.weights` names a file, '/etc/passwd'")
def weights_elsewhere(bench):
    return describe(bench, segmenter__weights="/etc/passwd")


@case("the segmenter's weights have 300 letters", "`segmenter.weights` names a file")
def weights_long(bench):
    return describe(bench, segmenter__weights="x" * 300)


@case("a part of the detector begins from elsewhere", "`detector.encoder.weights` names a file")
def part_elsewhere(bench):
    return describe(bench, detector__encoder={"name": "timm", "weights": "../a"})


@case("the encoder's weights lie elsewhere", "`segmenter.encoder_weights` names a file, '../a.pt'")
def encoder_elsewhere(bench):
    held = {"name": "smp", "encoder": "resnet18", "encoder_weights": "../a.pt"}
    return describe(bench, segmenter=held)


@case("the network is a repository", "`segmenter.model` names a file, 'somebody/else'")
def network_elsewhere(bench):
    return describe(bench, segmenter={"name": "transformers", "model": "somebody/else"})


@case("a head of the detector is a folder", "`detector.heads.run` names a file, '/srv/other'")
def head_elsewhere(bench):
    return describe(bench, detector={"name": "fusion", "heads": [{"run": "/srv/other"}]})


@case("a refiner begins from elsewhere", "`refiners.0.start` names a file")
def refiner_elsewhere(bench):
    return describe(bench, refiners=[{"name": "smooth", "start": "../a"}])


@case("the refiners are a word", "`refiners` is 'smooth', not a list")
def refiners_word(bench):
    return describe(bench, refiners="smooth")


@case("the classes are numbers", "`segmenter.classes` is [1, 2], not a list of words")
def classes_numbers(bench):
    return describe(bench, segmenter__classes=[1, 2])


@case("the smallest area is a word", "`min_area` is 'large', not a whole number")
def area_word(bench):
    return describe(bench, min_area="large")


@case("the smallest area is negative", "`min_area` is -5")
def area_negative(bench):
    return describe(bench, min_area=-5)


@case("what the detector learned from is a number", "`detector_trained_on` is 4, not a word")
def learned_number(bench):
    return describe(bench, detector_trained_on=4)


@case("the calibration is a number", "`calibration` is 0.5, not an object")
def calibration_number(bench):
    return describe(bench, calibration=0.5)


@case("the calibration's scores are words", "`calibration.scores` is ['a', 'b']")
def calibration_words(bench):
    return describe(bench, calibration=GOOD | {"scores": ["a", "b"]})


@case("the calibration's scores are NaN", "`calibration.scores`", "not a list of finite numbers")
def calibration_nan(bench):
    return describe(bench, calibration=GOOD | {"scores": [float("nan"), 0.0]})


@case("the calibration's rates fall", "`calibration.rates` does not rise")
def calibration_rates(bench):
    return describe(bench, calibration=GOOD | {"rates": [1.0, 0.1]})


@case("the calibration's scores rise", "`calibration.scores` rises")
def calibration_scores(bench):
    return describe(bench, calibration=GOOD | {"scores": [-1.0, 2.0]})


@case("the calibration is set in no known way", "`calibration.way` is 'luck'")
def calibration_way(bench):
    return describe(bench, calibration=GOOD | {"way": "luck"})


@case("the calibration's way is an object", "`calibration.way` is {'name': 'rate'}")
def calibration_way_object(bench):
    return describe(bench, calibration=GOOD | {"way": {"name": "rate"}})


@case("an option of the detector has 70 bits", "`temperature` is", "within 64 bits")
def beyond_64_bits(bench):
    return describe(bench, detector={"name": "energy", "temperature": 2**70})


@case("an mmseg model names a config file", "`segmenter.config`", "a config file is a program")
def mmseg_config(bench):
    return describe(bench, segmenter={"name": "mmseg", "config": "evil.py"})


@case("a TorchScript network has no hash", "`segmenter.sha256`", "is a program")
def torchscript_unknown(bench):
    return describe(bench, segmenter={"name": "torchscript", "file": "a.pt"})


def in_windows(bench, segmenter):
    """Describe a network that sees an image window by window."""
    return describe(
        bench, segmenter={"name": "sliding", "window": [64, 64], "segmenter": segmenter}
    )


@case("a network in windows names a config file", "`segmenter.segmenter.config`", "is a program")
def mmseg_config_in_windows(bench):
    return in_windows(bench, {"name": "mmseg", "config": "evil.py"})


@case(
    "a TorchScript network in windows has no hash", "`segmenter.segmenter.sha256`", "is a program"
)
def torchscript_unknown_in_windows(bench):
    return in_windows(bench, {"name": "torchscript", "file": "a.pt"})


@case("a network in windows in windows has no hash", "`segmenter.segmenter.segmenter.sha256`")
def torchscript_unknown_deep(bench):
    inner = {"name": "torchscript", "file": "a.pt"}
    return in_windows(bench, {"name": "sliding", "window": [64, 64], "segmenter": inner})


@case("an export's description is 200,000 brackets", "is broken", "nested too deeply")
def export_brackets(bench):
    (bench.model / "export.json").write_text("[" * 200_000)
    return ["video", str(bench.model), str(bench.track / "images")]


@case("an export is of another version", "another version", "format is 2")
def export_of_another_version(bench):
    (bench.model / "export.json").write_text('{"format": 2, "to": "onnx"}')
    return ["video", str(bench.model), str(bench.track / "images")]


@case("predict is given an export", "holds an export", "`video`, `serve` and `mine`")
def export_to_predict(bench):
    return ["predict", str(exported(bench)), str(bench.track / "images")]


@case("evaluate is given an export", "holds an export", "run or the saved model")
def export_to_evaluate(bench):
    return bench.evaluate("--model", exported(bench), "--root", bench.root)


@case("mine is given an export whose graph is cut off", "cannot open", "graph.onnx")
def export_to_mine(bench):
    """Not each of the clips is blamed: they are not looked at."""
    pytest.importorskip("onnxruntime", reason="the graph needs `pip install -e .[onnx]`")
    pytest.importorskip("pyarrow", reason="mining needs `pip install -e .[mine]`")
    folder, clip = exported(bench), bench.root.parent / "clip.mp4"
    (folder / "graph.onnx").write_bytes(b"half")
    clip.write_bytes(b"no clip")
    return ["mine", str(folder), str(clip), "--out", str(bench.root.parent / "mined")]


def exported(bench):
    """Make a folder that holds an export's description."""
    folder = bench.root.parent / "graph"
    folder.mkdir()
    held = {"format": 1, "to": "onnx", "graph": "graph.onnx", "size": [64, 96], "precision": "f32"}
    held |= {"calibration": GOOD, "min_area": 9, "classes": ["a", "b"]}
    (folder / "export.json").write_text(json.dumps(held))
    return folder


@case("an export's size is a word", "export.json is broken")
def export_size(bench):
    held = {"format": 1, "to": "onnx", "graph": "graph.onnx", "size": "large", "precision": "f32"}
    held |= {"calibration": GOOD, "min_area": 9, "classes": ["a", "b"]}
    (bench.model / "export.json").write_text(json.dumps(held))
    return ["video", str(bench.model), str(bench.track / "images")]
