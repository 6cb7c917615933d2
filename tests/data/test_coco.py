"""`data check coco`: pictures, annotations, those without the other, and what is left out."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from roadanomaly.cli.main import main
from roadanomaly.data import coco
from roadanomaly.data.cards import Split
from roadanomaly.errors import DataError, OptionError
from roadanomaly.negatives.paste import Paste
from roadanomaly.negatives.whole_pictures import WholePictures
from tests import labelled_layouts, layouts

PICTURE = "000000000009.jpg"


@pytest.fixture
def root(tmp_path, monkeypatch):
    """COCO with one picture and two objects a split, and a card that says so."""
    splits = {name: Split(1, rule=f"{name}/") for name in coco.CARD.splits}
    monkeypatch.setattr(coco, "CARD", replace(coco.CARD, splits=splits))
    monkeypatch.setattr(coco, "ANNOTATIONS", dict.fromkeys(splits, 2))
    return labelled_layouts.coco(tmp_path / "coco")


def check(capsys, *words) -> tuple[int, str, str]:
    code = main(["data", "check", "coco", *map(str, words)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def change(root, part, edit):
    path = root / "annotations" / f"instances_{part}.json"
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize("inside", [True, False])
def test_a_whole_set_is_whole(root, capsys, inside):
    code, out, _ = check(capsys, "--root", root if inside else root.parent)
    assert code == 0
    assert "licence: annotations CC BY 4.0" in out
    for part in ("train2017", "val2017"):
        assert f"split {part}: 1 of 1 pictures, 2 of 2 annotations" in out
        assert f"left out of {part}: nothing" in out
        assert f"objects of {part}: 2 of 2 classes in 1 pictures; 1 are of classes" in out
        assert f"pictures of {part}: 1 read of 1, 0 with problems" in out
    assert "problem:" not in out


def test_against_the_published_numbers_a_part_is_incomplete(tmp_path, capsys):
    root = labelled_layouts.coco(tmp_path / "coco")
    code, out, err = check(capsys, "--root", root, "--split", "val2017")
    assert code == 2
    assert "the split val2017 has 1 pictures, not 5000: 4999 missing" in out
    assert "the split val2017 has 2 annotations, not 36781" in out
    assert "where to get the rest: images.cocodataset.org" in out
    assert "train2017 has" not in out
    assert "problems" in err


def test_annotations_without_a_picture_and_pictures_without_annotations(root):
    (root / "train2017" / PICTURE).rename(root / "train2017" / "other.jpg")
    change(root, "val2017", lambda content: content["annotations"][0].update(image_id=7))
    text = "\n".join(coco.diagnose(root))
    assert f"1 pictures that instances_train2017.json lists are not there: {PICTURE}." in text
    assert "2 annotations of instances_train2017.json have no picture." in text
    assert "1 pictures are not listed in instances_train2017.json: other.jpg." in text
    assert "1 annotations of instances_val2017.json have no picture." in text
    assert "left out of val2017: 1 x annotation of an unknown `image_id`" in text


def test_what_is_left_out_is_what_the_sources_leave_out(root):
    """A crowd of people and a cow whose outline is broken, beside a cow that is sound."""

    def edit(content):
        person, cow = content["annotations"]
        person["iscrowd"] = 1
        content["annotations"] += [{**cow, "id": 3, "segmentation": "x"}]

    change(root, "train2017", edit)
    text = "\n".join(coco.diagnose(root, "train2017"))
    assert "3 of 2 annotations" in text
    assert "1 x annotation of a crowd" in text
    assert "objects of train2017: 1 of 1 classes in 1 pictures; 0 are of classes" in text
    assert "0 pictures show no such class" in text
    (root / "annotations" / "instances_val2017.json").unlink()
    assert Paste(root=str(root)).record()["cutouts"] == 1
    with pytest.raises(DataError):
        WholePictures(root=str(root), min_side=1)
    change(root, "train2017", lambda content: content["annotations"].pop(0))
    assert "1 pictures show no such class" in "\n".join(coco.diagnose(root, "train2017"))
    assert len(WholePictures(root=str(root), min_side=1).paths) == 1


def test_broken_pictures_and_files_are_told(root, capsys):
    path = root / "train2017" / PICTURE
    path.write_bytes(path.read_bytes()[:-9])
    (root / "annotations" / "instances_val2017.json").write_text("{}")
    code, out, _ = check(capsys, "--root", root)
    assert code == 2
    assert f"{PICTURE} is truncated" in out
    assert "pictures of train2017: 1 read of 1, 1 with problems" in out
    assert "instances_val2017.json is no COCO instance file" in out


def test_what_is_asked_wrongly_is_told(root, tmp_path, capsys):
    with pytest.raises(OptionError, match="`val2017`"):
        coco.diagnose(root, "val2018")
    layouts.camvid(tmp_path / "camvid")
    with pytest.raises(DataError, match="has not the layout of `coco`"):
        coco.diagnose(tmp_path / "camvid")
    code, _, err = check(capsys, "--root", root, "--data.part", "train")
    assert code == 2
    assert "`part` is not an option of `coco`" in err
