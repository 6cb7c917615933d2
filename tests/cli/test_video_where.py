"""`--where` and `--truth` without a class map, and figures that go into a pipe."""

import json
import os
import threading

import numpy as np
import pytest

import roadanomaly as ra
from roadanomaly.calibration import calibrate
from tests.video.clips import write_clip


@pytest.fixture
def clip(tmp_path):
    return write_clip(tmp_path / "clip.mp4", 12, range(3, 10))


@pytest.fixture(scope="module")
def reconstructing(tmp_path_factory):
    """Return a saved model whose detector looks at the image alone."""
    parts = ra.segmenter("espnetv2", scale=0.5), ra.detector("autoencoder", widths=[4])
    model = ra.Model(*parts)
    model.calibration = calibrate([np.linspace(0, 1, 1000)], 0.5, "a ramp")
    model.detector.ready = True
    folder = tmp_path_factory.mktemp("reconstructing") / "model"
    model.save(folder)
    return folder


@pytest.mark.slow
def test_nobody_says_where_the_road_is_without_a_segmenter(
    command, reconstructing, clip, tmp_path, monkeypatch
):
    for words in (("video", clip), ("serve", "--source", clip), ("mine", clip, "--out", "mined")):
        monkeypatch.chdir(tmp_path)
        code, _, err = command(words[0], reconstructing, *words[1:], "--where", "road")
        assert code == 2
        assert "looks at the image alone" in err
    stats, truth = ("--stats", tmp_path / "s.json"), ("--truth", "none", "--false_alarms", 0.9)
    code, _, err = command("video", reconstructing, clip, *stats, *truth, "--start_s", 0)
    assert code == 0, err
    counts = json.loads((tmp_path / "s.json").read_text())["truth"]
    assert set(counts["false_on"]) == {"?"}


@pytest.mark.slow
def test_an_export_says_whether_its_class_map_means_anything(
    command, reconstructing, clip, tmp_path
):
    words = ("--to", "torchscript", "--size", "96x128", "--limit", 2, "--out", tmp_path / "x")
    code, _, err = command("export", "model", reconstructing, *words)
    assert code == 0, err
    code, _, err = command("video", tmp_path / "x", clip, "--where", "ground")
    assert code == 2
    assert "looks at the image alone" in err
    path = tmp_path / "x" / "export.json"
    held = json.loads(path.read_text())
    assert held.pop("tells_classes") is False
    path.write_text(json.dumps(held))  # as an earlier version wrote it
    assert command("video", tmp_path / "x", clip, "--where", "ground")[0] == 0


def test_figures_go_into_a_pipe(command, model_folder, clip, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    got = []
    reader = threading.Thread(
        target=lambda: got.append((tmp_path / "pipe").read_text()), daemon=True
    )
    reader.start()
    before = set(tmp_path.iterdir())
    assert command("video", model_folder, clip, "--stats", tmp_path / "pipe")[0] == 0
    reader.join(20)
    assert json.loads(got[0])["frames"] == 12
    assert set(tmp_path.iterdir()) == before
    assert (tmp_path / "pipe").is_fifo()
