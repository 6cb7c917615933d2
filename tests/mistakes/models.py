"""What is wrong with a model's folder."""

from __future__ import annotations

import json

from tests.mistakes.bench import case, truncate


@case("the model's folder does not exist", "no model at", "model.json is missing")
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
