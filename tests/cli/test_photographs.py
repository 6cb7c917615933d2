"""A phone's photograph, stored on its side, through the commands: everything comes out upright."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
import torch

import roadanomaly as ra
from roadanomaly.cli.main import main
from roadanomaly.data.images import read_image
from tests.photographs import photograph, save

NETWORK = ("--segmenter.name", "espnetv2", "--segmenter.scale", "0.5")


@pytest.fixture
def phone(tmp_path):
    return save(tmp_path / "phone.png", photograph().resize((96, 64)), 6)


def test_predict(tmp_path, phone, capsys):
    torch.manual_seed(0)
    model = ra.Model(ra.segmenter("espnetv2", scale=0.5), ra.detector("energy"))
    model.save(tmp_path / "run")
    assert main(["predict", str(tmp_path / "run"), str(phone), "--out", str(tmp_path / "out")]) == 0
    score = np.load(tmp_path / "out" / "phone_score.npy")
    assert score.shape == (96, 64)
    np.testing.assert_array_equal(score, model(read_image(phone)).score)


def test_label(tmp_path, phone, capsys):
    out = tmp_path / "labels"
    assert main(["label", str(phone), *NETWORK, "--least", "0", "--out", str(out)]) == 0
    assert cv2.imread(str(out / "phone.png"), cv2.IMREAD_UNCHANGED).shape == (96, 64)


def test_a_set_of_such_photographs_is_sound(tmp_path, phone, capsys):
    (tmp_path / "own" / "images").mkdir(parents=True)
    (tmp_path / "own" / "labels").mkdir()
    phone.rename(tmp_path / "own" / "images" / "phone.png")
    label = np.zeros((96, 64), np.uint8)
    label[60:80, 10:30] = 1
    cv2.imwrite(str(tmp_path / "own" / "labels" / "phone.png"), label)
    assert main(["data", "check", "folder", "--root", str(tmp_path / "own")]) == 0
    out = capsys.readouterr().out
    assert "sizes: 64×96 (1)" in out
    assert json.dumps(400 / 6144 * 100)[:4] in out
