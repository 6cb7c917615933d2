"""The walk over a set: collects every fault, raises for none, and sums up correctly."""

from __future__ import annotations

from pathlib import Path

import torch

from roadanomaly.data.base import FrameSet
from roadanomaly.data.camvid import CamVid
from roadanomaly.data.check import PROBLEM, check
from roadanomaly.data.folder import Folder
from roadanomaly.data.roadanomaly import RoadAnomaly
from roadanomaly.types import Frame
from tests import layouts


def test_sound_set(tmp_path: Path):
    lines = check(RoadAnomaly(root=layouts.roadanomaly(tmp_path)))
    assert lines == [
        "frames: 3 read of 3, 0 with problems",
        "sizes: 32×24 (3)",
        "truth: inlier 75.00%, anomaly 25.00%",
    ]


def test_every_fault_is_collected(tmp_path: Path):
    root = layouts.camvid(tmp_path, train=5)
    frames = CamVid(root=root)
    photo = root / "images" / "train" / "seq_000.jpg"
    photo.write_bytes(photo.read_bytes()[:-5])
    layouts.write_ids(root / "labels" / "train" / "seq_001.png", (0, 40))
    layouts.write_ids(root / "labels" / "train" / "seq_002.png", (0, 1), (24, 30))
    (root / "labels" / "train" / "seq_003.png").unlink()
    lines = check(frames)
    found = [line for line in lines if line.startswith(PROBLEM)]
    assert len(found) == 4
    for line, said in zip(found, ("truncated", "[40]", "30×24", "No such file"), strict=True):
        assert said in line
        assert str(root) in line
    assert "frames: 5 read of 5, 4 with problems" in lines
    assert "sizes: 32×24 (1)" in lines


def test_limit_spreads_over_the_set(tmp_path: Path):
    frames = CamVid(root=layouts.camvid(tmp_path, train=5))
    (tmp_path / "images" / "train" / "seq_004.jpg").unlink()
    lines = check(frames, limit=2)
    assert "seq_004" in lines[0]
    assert "frames: 2 read of 5, 1 with problems" in lines


def test_a_set_that_shows_no_anomaly_is_sound(tmp_path: Path):
    layouts.folder(tmp_path, count=2)
    layouts.write_ids(tmp_path / "masks" / "validation0000_labels_semantic.png", (0, 255))
    first = check(Folder(tmp_path / "images", tmp_path / "masks"), limit=1)
    assert first[0] == "frames: 1 read of 2, 0 with problems"
    assert first[-1] == "truth: inlier 50.00%, ignore 50.00%"
    layouts.write_ids(tmp_path / "masks" / "validation0001_labels_semantic.png", (0, 255))
    said = {"inlier": [0], "ignore": [255]}
    whole = check(Folder(tmp_path / "images", tmp_path / "masks", values=said))
    assert whole[0] == "frames: 2 read of 2, 0 with problems"


class Wrong(FrameSet):
    source = licence = "made up"
    classes = ("road",)

    def __len__(self):
        return 2

    def __getitem__(self, index):
        label = torch.tensor([[0, 1, 254]], dtype=torch.uint8)
        return Frame("same", torch.zeros(3, 1, 4, dtype=torch.uint8), label)

    def record(self):
        return {}


def test_faults_that_a_loader_let_through():
    text = "\n".join(check(Wrong()))
    for said in ("[1] are of no class", "the label is (1, 3)", "a second frame", "negative 33.33%"):
        assert said in text


def test_empty_walk(tmp_path: Path):
    assert check(CamVid(root=layouts.camvid(tmp_path)), limit=0) == [
        "frames: 0 read of 3, 0 with problems"
    ]
