"""An evaluation that goes on after a stop takes no frame whose files were written again."""

from __future__ import annotations

import json
import os

import cv2
import numpy as np
import pytest
import torch

from roadanomaly.data import DATASETS
from roadanomaly.data.derived import Resized
from roadanomaly.data.subset import Subset
from tests import layouts
from tests.evaluation.scenes import Drawn, Scenes

DRAWN = ("streets",)
ON_DISK = [name for name in DATASETS if name not in (*DRAWN, "union")]


@pytest.fixture
def words(tmp_path):
    """Six frames with a label each, and maps of them; the last label is broken."""
    rng = np.random.default_rng(0)
    for name in ("images", "labels", "maps"):
        (tmp_path / name).mkdir()
    for number in range(6):
        image = rng.integers(0, 255, (40, 60, 3), dtype=np.uint8)
        cv2.imwrite(str(tmp_path / f"images/{number}.png"), image)
        np.save(tmp_path / f"maps/{number}.npy", rng.normal(size=(40, 60)).astype(np.float32))
    write_labels(tmp_path, slice(0, 20))
    (tmp_path / "labels/5.png").write_bytes(b"broken")
    given = ["evaluate", "--on", "folder", "--root", tmp_path, "--scores", tmp_path / "maps"]
    return [*given, "--pictures", 0, "--out", tmp_path / "out"]


def write_labels(folder, rows, numbers=range(6)):
    label = np.zeros((40, 60), np.uint8)
    label[rows, :30] = 1
    for number in numbers:
        cv2.imwrite(str(folder / f"labels/{number}.png"), label)


def numbers(folder):
    found = json.loads((folder / "metrics.json").read_text())["folder"]
    return found["official"], found["exact"]


def test_labels_that_are_all_written_anew_are_all_read_again(words, command, tmp_path):
    assert command(*words)[0] == 2
    write_labels(tmp_path, slice(20, 30))
    for number in range(6):
        os.utime(tmp_path / f"labels/{number}.png", ns=(0, 2_000_000_000 * 10**9))
    code, _, err = command(*words)
    assert code == 0, err
    assert "scored before" not in err
    assert command(*words[:-1], tmp_path / "anew")[0] == 0
    went_on, anew = (numbers(tmp_path / name) for name in ("out", "anew"))
    assert went_on == anew


def test_of_labels_one_of_which_is_mended_the_others_are_kept(words, command, tmp_path):
    assert command(*words)[0] == 2
    write_labels(tmp_path, slice(0, 20), [5])
    code, _, err = command(*words)
    assert code == 0, err
    assert "5 of 6 frames were scored before; going on" in err


def remove_all_but(folder, kept):
    for path in folder.rglob("*"):
        if path.is_file() and path not in kept:
            path.unlink()


def assert_read_from_its_files_alone(frames, folder):
    name = frames.frame_ids()[0]
    found, before, objects = frames.files_of(name), frames[0], frames.instances(name)
    remove_all_but(folder, found)
    assert all(path.is_file() for path in found)
    after = frames[0]
    assert torch.equal(after.image, before.image)
    for one, other in ((after.label, before.label), (after.anomaly, before.anomaly)):
        assert (one is None) == (other is None)
        assert one is None or torch.equal(one, other)
    assert objects is None or torch.equal(frames.instances(name), objects)


@pytest.mark.parametrize("name", ON_DISK)
def test_each_set_on_disk_says_all_files_that_a_frame_is_read_from(name, tmp_path):
    getattr(layouts, name)(tmp_path)
    frames = DATASETS.build(name, {"root": str(tmp_path)})
    for frame_id in frames.frame_ids():
        found = frames.files_of(frame_id)
        assert len(set(found)) == len(found) >= (1 if frames.hidden(frame_id) else 2)
        assert all(path.is_file() for path in found)
    changed = Subset(Resized(frames, (8, 12)), 1)
    assert changed.files_of(frames.frame_ids()[0]) == frames.files_of(frames.frame_ids()[0])
    assert_read_from_its_files_alone(frames, tmp_path)


def test_a_union_says_the_files_of_its_sets(tmp_path):
    layouts.camvid(tmp_path)
    parts = [{"name": "camvid", "split": one, "root": str(tmp_path)} for one in ("train", "val")]
    frames = DATASETS.build("union", {"sets": parts})
    for name, own in zip(frames.frame_ids(), frames.own_ids(), strict=True):
        assert {path.stem for path in frames.files_of(name)} == {own}
    assert_read_from_its_files_alone(frames, tmp_path)


def test_scenes_say_their_class_maps_and_what_names_their_objects(tmp_path):
    root = layouts.coco_scenes(tmp_path / "set")
    for path in (root / "images").iterdir():
        label = np.zeros(cv2.imread(str(path)).shape[:2], np.uint8)
        (tmp_path / "maps").mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / "maps" / path.name), label)
    given = {"root": str(root), "labels": str(tmp_path / "maps")}
    frames = DATASETS.build("coco_scenes", given)
    assert frames.files_of("meadow1") == [
        root / "images" / "meadow1.png",
        root / "annotations" / "instances_made.json",
        tmp_path / "maps" / "meadow1.png",
    ]
    assert_read_from_its_files_alone(frames, tmp_path)


def test_frames_that_are_drawn_have_no_files_and_no_mark():
    streets = DATASETS.build("streets", {"count": 2, "height": 64, "width": 96})
    assert [streets.files_of(one) for one in streets.frame_ids()] == [[], []]
    assert Drawn().mark("scene_0") == Drawn().on(Scenes()).mark("scene_0") == ""
