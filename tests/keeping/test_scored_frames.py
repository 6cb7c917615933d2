"""Frames that were scored before are taken for the same images and the same network alone."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

import roadanomaly
from roadanomaly.cli.evaluate import _parser
from roadanomaly.cli.evaluation_jobs import tasks_of
from roadanomaly.cli.main import main
from roadanomaly.cli.parsing import parse
from roadanomaly.evaluation.sources import NetworkScores
from roadanomaly.model import Model
from roadanomaly.segmenters import SEGMENTERS
from tests.contracts import toy


@pytest.fixture(autouse=True)
def known_toy(monkeypatch):
    monkeypatch.setitem(roadanomaly.SEGMENTERS.entries, "toy", "tests.contracts.toy:ToySegmenter")


@pytest.fixture
def folders(tmp_path):
    """Return two folders `<one>/images`, `<one>/masks` of files of the same names."""
    rng = np.random.default_rng(0)
    for name in "ab":
        for part in ("images", "masks"):
            (tmp_path / name / part).mkdir(parents=True)
        for number in range(2):
            image = rng.integers(0, 256, (40, 64, 3), dtype=np.uint8)
            mask = np.zeros((40, 64), np.uint8)
            mask[5:20, 10:40] = 1
            cv2.imwrite(str(tmp_path / name / "images" / f"{number}.png"), image)
            cv2.imwrite(str(tmp_path / name / "masks" / f"{number}.png"), mask)
    return tmp_path


def words_of(folder, option="--data"):
    return [f"{option}.images", str(folder / "images"), f"{option}.labels", str(folder / "masks")]


def network(spec, detector="msp"):
    model = Model(SEGMENTERS.from_spec(spec), roadanomaly.detector(detector))
    return NetworkScores(model.segmenter, {"own": model.head})


def keys(words, source=None):
    given = parse(_parser(), ["--on", "folder", *map(str, words)])
    tasks, validation = tasks_of(given, [source or network({"name": "toy"})])
    return [one.key for one in (*tasks, *validation)]


def test_images_of_another_place_have_another_key(folders):
    first, second = words_of(folders / "a"), words_of(folders / "b")
    assert keys(first) == keys(first)
    assert keys(first) != keys(second)
    validation = ["--validate_on", "folder"]
    found = [keys([*first, *validation, *words_of(folders / one, "--validation")]) for one in "ab"]
    assert found[0][0] == found[1][0]
    assert found[0][1] != found[1][1]


def test_a_relative_path_is_another_place_elsewhere(folders, monkeypatch):
    found = []
    for name in "ab":
        monkeypatch.chdir(folders / name)
        found.append(keys(["--data.images", "images", "--data.labels", "masks"]))
    assert found[0] != found[1]


def test_another_network_or_detector_has_another_key(folders):
    words = words_of(folders / "a")
    sliding = {"name": "sliding", "segmenter": {"name": "toy"}}
    sources = [
        network({"name": "toy"}),
        network({"name": "toy"}, "energy"),
        network({**sliding, "window": (32, 32)}),
        network({**sliding, "window": (32, 64)}),
    ]
    assert len({keys(words, source)[0] for source in sources}) == len(sources)


def test_validation_frames_have_the_size_of_the_others(folders):
    words = [*words_of(folders / "a"), "--size", "[32,48]", "--validate_on", "folder"]
    words += words_of(folders / "b", "--validation")
    given = parse(_parser(), ["--on", "folder", *words])
    tasks, validation = tasks_of(given, [network({"name": "toy"})])
    for task in (*tasks, *validation):
        assert [tuple(frame.image.shape[-2:]) for frame in task.job.frames] == [(32, 48)] * 2


@pytest.mark.slow
def test_what_a_broken_evaluation_left_is_not_taken_for_other_images(folders, capsys, tmp_path):
    torch.manual_seed(0)
    Model(toy.ToySegmenter(), roadanomaly.detector("entropy")).save(tmp_path / "run")

    def evaluate(folder, out):
        words = [*words_of(folder), "--detectors", "none", "--pictures", "0", "--device", "cpu"]
        command = ["evaluate", str(tmp_path / "run"), "--on", " folder", *words]
        code = main([*command, "--out", str(tmp_path / out)])
        path = tmp_path / out / "results.csv"
        return code, path.exists() and path.read_text().splitlines()[1].split(",")[:-2]

    path = folders / "a" / "images" / "1.png"
    path.write_bytes(path.read_bytes()[:2000])
    assert evaluate(folders / "a", "out")[0] == 2
    found = evaluate(folders / "b", "out")
    assert "were dropped" in capsys.readouterr().err
    assert found[0] == 0
    assert found == evaluate(folders / "b", "fresh")
