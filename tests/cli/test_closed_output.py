"""Whoever stops reading what a command prints, as `| head` does, still has what it was to write."""

import io
import sys

import pytest
import torch
import yaml

import roadanomaly as ra
from roadanomaly.cli import demo
from roadanomaly.cli.main import main
from roadanomaly.data import DATASETS, FrameSet
from roadanomaly.evaluation.findings import save_findings
from roadanomaly.evaluation.folder import EvaluationFolder
from tests.report.made import make_findings, make_frames, make_scores

STREETS = "{name: streets, split: %s, count: 2, height: 64, width: 128}"
WORLDS = f"strange: {{data: {STREETS % 'test'}}}\nplain: {{data: {STREETS % 'val'}}}\n"


class Closed(io.StringIO):
    """Standard output that nobody reads any more."""

    def __init__(self, place):
        super().__init__()
        self._file = place.open("wb")

    def write(self, _):
        raise BrokenPipeError

    def fileno(self):
        return self._file.fileno()


@pytest.fixture
def unread(tmp_path, monkeypatch):
    """Run a command line whose standard output is closed."""

    def call(*words):
        monkeypatch.setattr(sys, "stdout", Closed(tmp_path / "stdout"))
        return main([str(word) for word in words])

    return call


def test_an_evaluation_is_written(unread, model_folder, tmp_path):
    words = ("--on", "streets", "--data.split", "test", "--data.count", 2, "--data.height", 64)
    words += ("--data.width", 128, "--detectors", "none", "--pictures", 0, "--mode", "exact")
    assert unread("evaluate", model_folder, *words, "--out", tmp_path / "out") == 0
    assert (tmp_path / "out" / "results.csv").read_text().count("energy") == 1


def test_worlds_are_written(unread, model_folder, tmp_path):
    (tmp_path / "worlds.yaml").write_text(WORLDS)
    words = ("--config", tmp_path / "worlds.yaml", "--out", tmp_path / "out", "--device", "cpu")
    assert unread("worlds", model_folder, *words) == 0
    for suffix in ("txt", "md", "csv", "json"):
        assert "plain" in (tmp_path / "out" / f"worlds.{suffix}").read_text()


def test_a_comparison_is_written(unread, tmp_path):
    frames = make_frames(2)
    for name, strength in (("a", 1.0), ("b", 4.0)):
        save_findings(tmp_path / name, make_findings(frames, make_scores(frames, strength)))
    page, table = tmp_path / "compare.html", tmp_path / "t.csv"
    words = ("--resamples", 20, "--out", page, "--table", table)
    assert unread("compare", tmp_path / "a", tmp_path / "b", *words) == 0
    assert page.read_text().startswith("<!doctype html>")
    assert table.exists()
    assert (tmp_path / "t_differences.csv").exists()


@pytest.mark.slow
def test_a_demo_does_all_its_work(model_folder, tmp_path, monkeypatch):
    """Its steps are told elsewhere, and its tables last."""
    test, train = (DATASETS.from_spec(yaml.safe_load(STREETS % part)) for part in ("test", "train"))
    model = ra.load(model_folder)
    shown = demo.Shown(model, "energy", model, test, train, ("image", "before", "after", "found"))
    for title in ("before", "after"):
        EvaluationFolder(tmp_path / title).require_usable()
    monkeypatch.setattr(demo, "_shown", FrameSet.frame_ids)
    monkeypatch.setattr(sys, "stdout", Closed(tmp_path / "stdout"))
    with pytest.raises(BrokenPipeError):
        demo._compare(tmp_path, shown, torch.device("cpu"))
    for name in (demo.GALLERY, "before/report.html", "after/report.html"):
        assert (tmp_path / name).stat().st_size > 1000
