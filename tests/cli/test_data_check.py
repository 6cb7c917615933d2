"""`roadanomaly data check`: of every split of a set, and of any folder of cut-outs."""

from __future__ import annotations

import shutil

import pytest

from roadanomaly.data.camvid import CamVid
from roadanomaly.data.cityscapes import Cityscapes
from roadanomaly.negatives.paste import Paste
from tests import layouts
from tests.negatives import tiny


@pytest.fixture
def camvid(tmp_path, monkeypatch):
    """CamVid as it would be with 3 and 2 published frames and none to test on."""
    monkeypatch.setattr(CamVid, "published", {"train": 3, "val": 2})
    return layouts.camvid(tmp_path / "camvid", train=3, val=2)


def test_every_split_is_counted_and_read(command, camvid):
    code, out, _ = command("data", "check", "camvid", "--root", camvid)
    assert code == 0
    for line in ("split train: 3 of 3 frames", "frames: 3 read of 3", "split val: 2 of 2 frames"):
        assert line in out
    code, out, _ = command("data", "check", "camvid", "--root", camvid, "--split", "val")
    assert code == 0
    assert "train" not in out


def test_a_split_that_is_missing_is_named_and_the_others_are_read(command, camvid):
    shutil.rmtree(camvid / "images" / "train")
    code, out, err = command("data", "check", "camvid", "--root", camvid)
    assert code == 2
    assert "problem: the split train is not whole: the folder images/train/ was looked for" in out
    assert "split val: 2 of 2 frames" in out
    assert "1 problems" in err


@pytest.mark.parametrize(("there", "said"), [(1, "1 missing"), (4, "2 too many")])
def test_a_split_of_another_size_than_published_is_named(command, camvid, there, said):
    for part in ("images", "labels"):
        shutil.rmtree(camvid / part / "val")
    layouts.camvid(camvid, train=3, val=there)
    code, out, _ = command("data", "check", "camvid", "--root", camvid)
    assert code == 2
    assert f"problem: the split val has {there} frames, not 2: {said}." in out


def test_a_city_is_no_split(command, tmp_path, monkeypatch):
    monkeypatch.setattr(Cityscapes, "published", {"train": 99})
    root = layouts.cityscapes(tmp_path / "cityscapes")
    city = next((root / "leftImg8bit" / "train").iterdir()).name
    code, out, _ = command("data", "check", "cityscapes", "--root", root, "--data.city", city)
    assert code == 0
    assert "99" not in out
    assert command("data", "check", "cityscapes", "--root", root)[0] == 2


@pytest.mark.parametrize("write", [tiny.yolo, tiny.coco])
def test_cutouts_are_those_that_the_source_finds(command, tmp_path, write):
    root = write(tmp_path / "objects", images=6)
    code, out, _ = command("data", "check", "cutouts", "--root", root, "--data.held_out", 0.4)
    assert code == 0
    kinds = {tiny.yolo: 2, tiny.coco: 3}[write]
    assert f"read as {write.__name__}" in out
    assert "pictures: 6 with labels, of 6 in the folder" in out
    assert f"cut-outs: {6 * kinds} of {kinds} classes in 6 pictures; 6 are of classes" in out
    assert ("left out: 6 x annotation of a crowd" in out) == (write is tiny.coco)
    for part in ("train", "held_out"):
        source = Paste(root=str(root), exclude=[], min_area=0, part=part, held_out=0.4)
        found = source.record()
        assert f"part {part}: {found['cutouts']} cut-outs in {found['images']} pictures" in out
    assert "pictures with cut-outs: 6 read of 6, 0 with problems" in out


def test_missing_pictures_of_cutouts_and_pictures_without_labels_are_counted(command, tmp_path):
    root = tiny.yolo(tmp_path / "objects", images=4)
    (root / "images/train/000.jpg").unlink()
    (root / "labels/train/001.txt").unlink()
    code, out, err = command("data", "check", "cutouts", "--root", root)
    assert code == 2
    assert "problem: 1 x label without image (000.jpg). Get the files again" in out
    assert "pictures: 2 with labels, of 3 in the folder" in out
    assert "left out: nothing" in out
    assert "cut-outs: 4 of 2 classes in 2 pictures; 2 are of classes that roads have" in out
    assert "left out" not in err


def test_a_folder_by_its_plain_name_is_told_how_it_is_checked(command, tmp_path, monkeypatch):
    tiny.yolo(tmp_path / "things")
    monkeypatch.setenv("ROADANOMALY_DATA", str(tmp_path))
    code, _, err = command("data", "check", "things")
    assert code == 2
    assert "`roadanomaly data check cutouts --root things`" in err
    assert command("data", "check", "cutouts", "--root", "things")[0] == 0
    code, _, err = command("data", "check", "coc0")
    assert "did you mean `coco`" in err
    code, _, err = command("data", "check", "nothing_like_it")
    assert "coco, coco_scenes, cutouts, " in err


def test_other_labels_than_coco_s_own_are_told_how_they_are_checked(command, tmp_path):
    root = tiny.yolo(tmp_path / "coco")
    (root / "images" / "train").rename(root / "images" / "train2017")
    (root / "labels" / "train").rename(root / "labels" / "train2017")
    code, _, err = command("data", "check", "coco", "--root", root)
    assert code == 2
    assert "has no annotations/instances_<train2017|val2017>.json, but labels in the format" in err
    assert f"`roadanomaly data check cutouts --root {root}`" in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "`cutouts` needs the option `root`"),
        (("--root", ".", "--split", "train"), "`split` is not an option of `cutouts`"),
        (("--root", ".", "--data.format", "yollo"), "did you mean `yolo`"),
        (("--root", ".", "--data.held_out", 2), "`held_out` is 2"),
        (("--root", "nowhere"), "`nowhere` was looked for"),
    ],
)
def test_what_is_asked_wrongly_of_cutouts_is_told(command, words, said):
    code, _, err = command("data", "check", "cutouts", *words)
    assert code == 2
    assert said in err
