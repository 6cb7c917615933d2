"""A model whose scores overflow is refused with the frame, by every command that scores."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file


@pytest.fixture(scope="module")
def diverged(model_folder, tmp_path_factory):
    """A model whose weights are finite, and whose scores are not."""
    folder = tmp_path_factory.mktemp("diverged") / "run"
    shutil.copytree(model_folder, folder)
    path = folder / "model" / "weights.safetensors"
    weights = load_file(path)
    bias = weights["segmenter.classifier.bias"]
    bias[:] = np.finfo(np.float32).max
    weights["segmenter.classifier.weight"][0::2] = 3e38  # one of two neighbours overflows
    weights["segmenter.classifier.weight"][1::2] = -3e38
    save_file(weights, path)
    description = json.loads((folder / "model" / "model.json").read_text())
    description["detector"]["temperature"] = 0.1  # the largest number, divided by it, overflows
    (folder / "model" / "model.json").write_text(json.dumps(description))
    return folder


def test_predict_names_the_images_and_writes_nothing_of_them(command, diverged, photos, tmp_path):
    code, out, err = command("predict", diverged, photos, "--out", tmp_path / "out")
    assert code == 2
    assert "0 of 3 images written" in out
    for name in ("a", "b", "c"):
        assert f"{name}.jpg: " in err
    assert "so they rank nothing" in err
    assert not list((tmp_path / "out").glob("*.png"))


@pytest.mark.slow
def test_evaluate_names_the_frame(command, diverged, tmp_path):
    size = ("--data.height", 64, "--data.width", 96, "--data.count", 2, "--pictures", 0)
    words = ("--on", "streets", *size, "--detectors", "none", "--out", tmp_path / "out")
    code, _, err = command("evaluate", diverged, *words)
    assert code == 2
    assert "the detector energy on frame " in err
    assert "so they rank nothing" in err


def test_video_names_the_frame_and_ends(command, diverged, photos, tmp_path):
    code, _, err = command("video", diverged, photos, "--events", tmp_path / "events.jsonl")
    assert code == 2
    assert "frame 0 of " in err
    assert "so they rank nothing" in err


@pytest.mark.slow
def test_label_names_the_image(command, diverged, photos, tmp_path):
    words = ("--segmenter.name", "espnetv2", "--segmenter.scale", 0.5, "--segmenter.weights")
    import torch
    from safetensors.torch import load_file as load

    state = load(diverged / "model" / "weights.safetensors")
    kept = {k.removeprefix("segmenter."): v for k, v in state.items() if k.startswith("segmenter.")}
    torch.save(kept, tmp_path / "weights.pth")
    given = (*words, tmp_path / "weights.pth", "--out", tmp_path / "out")
    code, _, err = command("label", photos, *given)
    assert code == 2
    assert "a.jpg: the network's answer is not finite" in err
