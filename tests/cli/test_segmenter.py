"""`roadanomaly segmenter check`: what it prints and draws, and which part it finds at fault."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from roadanomaly.cli.main import main
from roadanomaly.data.images import read_image, write_image
from tests.contracts.tiny import CLASSES, file_network, network


@pytest.fixture
def check(tmp_path, capsys):
    image = tmp_path / "street.png"
    write_image(image, np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8))

    def run(*words: str) -> tuple[int, str]:
        places = ["--image", str(image), "--out", str(tmp_path / "out"), "--device", "cpu"]
        code = main(["segmenter", "check", *words, "--size", "64x96", *places])
        printed = capsys.readouterr()
        return code, printed.out + printed.err

    return run


def test_it_says_what_a_network_offers_and_draws_its_classes(check, tmp_path):
    code, text = check("espnetv2", "--segmenter.scale", "0.5", "--segmenter.classes", "[road, sky]")
    assert code == 0
    segmenter = network("espnetv2")
    for name, info in segmenter.features.items():
        (line,) = [one for one in text.splitlines() if one.split()[:1] == [name]]
        assert line.split()[1:3] == [str(info.channels), str(info.stride)]
    assert "classes     2: road, sky" in text
    assert "multiples of 16" in text
    assert "GFLOPs" in text
    picture = read_image(tmp_path / "out" / "espnetv2.png")
    assert picture.shape[1] == 64
    assert picture.shape[2] > 2 * 96


def test_operations_are_counted_as_the_layers_say(check):
    """A 3x3 convolution of 3 to 5 channels onto 32x48 pixels: two operations a product."""
    options = file_network("pt")
    words = ("--segmenter.file", options["file"], "--segmenter.classes", str(list(CLASSES)))
    code, text = check("torchscript", *words)
    assert code == 0
    assert "answers     logits at stride 2; cannot be trained" in text
    assert "features    none" in text
    assert f"{2 * 3 * 3 * 3 * 5 * 32 * 48 / 1e9:.1f} GFLOPs" in text or "GFLOPs" not in text


def test_each_part_at_fault_is_named(check, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    monkeypatch.delitem(__import__("sys").modules, "roadanomaly.segmenters.onnx", raising=False)
    small = network("espnetv2").state_dict()
    torch.save(small, tmp_path / "five.pth")
    torch.save({"a": torch.zeros(1)}, tmp_path / "other.pth")
    scale = ("--segmenter.scale", "0.5", "--segmenter.weights")
    faults = {
        "name": ("espnet",),
        "extra": ("onnx",),
        "option": ("espnetv2", "--segmenter.scale", "7"),
        "weights": ("espnetv2", *scale, str(tmp_path / "other.pth")),
        "classes": ("espnetv2", *scale, str(tmp_path / "five.pth")),
    }
    for part, words in faults.items():
        code, text = check(*words)
        assert code == 2
        assert f"at fault: {part}\n" in text, text


def test_a_size_that_cannot_be_segmented_is_named(check, monkeypatch):
    from roadanomaly.segmenters.espnetv2 import ESPNetv2

    def refuse(*_):
        msg = "too small"
        raise RuntimeError(msg)

    monkeypatch.setattr(ESPNetv2, "maps", refuse)
    code, text = check("espnetv2")
    assert code == 2
    assert "at fault: size\n  it cannot segment 64×96 pixels (too small)" in text


def test_one_that_fails_does_not_keep_the_others_from_being_checked(check):
    code, text = check("espnet", "espnetv2")
    assert code == 2
    assert "espnetv2: ESPNetv2" in text
    assert "1 of 2 networks cannot be used: espnet." in text


def test_impossible_words_are_refused(check, capsys):
    assert check("espnetv2", "smp", "--segmenter.scale", "1.0")[0] == 2
    assert main(["segmenter", "look", "espnetv2"]) == 2
    assert "there is `segmenter check NAME`" in capsys.readouterr().err
    for size in ("big", "999999x999999", "32768x32768"):
        assert main(["segmenter", "check", "espnetv2", "--size", size]) == 2
        assert f"--size {size}: give HxW with sides of at least 32" in capsys.readouterr().err
