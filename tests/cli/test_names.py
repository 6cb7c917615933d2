"""Files whose names hold umlauts, another script, spaces, quotes and what addresses escape."""

import json
import os
import shutil
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from roadanomaly.cli.predict import _distinct_names
from roadanomaly.data.images import write_image
from roadanomaly.video.sources import open_source
from tests.video.clips import write_clip

NAMES = ("Straße_Öl", "طريق", "two words", "quo\"te's", "<b>&amp;", "a#b?c", "50%25 %d")


@pytest.fixture
def named(tmp_path):
    folder = tmp_path / "Bilder طريق & #1 %"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in NAMES:
        write_image(folder / f"{name}.png", rng.integers(0, 255, (32, 64, 3), dtype=np.uint8))
    return folder


def test_images_of_one_name_are_told_apart_by_their_folders_and_then_by_number():
    many = [Path(f"drive/{number:05d}.png") for number in range(30_000)]
    twice = [Path("a/x.png"), Path("b/x.png")]
    names = _distinct_names([*many, *twice])
    assert [names[path] for path in many] == [path.stem for path in many]
    assert [names[path] for path in twice] == ["a_x", "b_x"]
    alike = [Path("a/b/x.png"), Path("c/b/x.png"), Path("y.png")]
    assert list(_distinct_names(alike).values()) == ["000000_x", "000001_x", "000002_y"]


def test_predict_keeps_names_in_files_and_in_what_other_tools_read(
    command, model_folder, named, tmp_path
):
    out = tmp_path / "Ergebnis <b>"
    code, _, err = command("predict", model_folder, named, "--out", out, "--format", "coco,cvat")
    assert code == 0, err
    for name in NAMES:
        assert np.load(out / f"{name}_score.npy").shape == (32, 64)
        assert json.loads((out / f"{name}_components.json").read_text())["image"] == name
    images = json.loads((out / "coco.json").read_text())["images"]
    assert sorted(one["file_name"] for one in images) == sorted(f"{name}.png" for name in NAMES)
    with zipfile.ZipFile(out / "cvat.zip") as archive:
        listed = " ".join(archive.namelist())
        for entry in archive.namelist():
            if entry.endswith(".xml"):
                text = ElementTree.fromstring(archive.read(entry))
                listed += " ".join(one.get("name", "") for one in text.iter("image"))
    assert all(name in listed for name in NAMES)


@pytest.mark.slow
def test_a_name_that_is_no_utf_8_and_one_as_long_as_can_be_are_names_too(
    command, model_folder, named, tmp_path
):
    strange, long = os.fsdecode("Stra\xdfe".encode("latin-1")), "x" * 240
    folder, out = tmp_path / "few", tmp_path / "out"
    folder.mkdir()
    try:
        for name in (strange, long, long[:-1] + "y"):
            shutil.copy(named / "two words.png", folder / f"{name}.png")
    except OSError:
        pytest.skip("this file system takes no such names")
    words = ("--out", out, "--format", "coco,cvat")
    code, _, err = command("predict", model_folder, folder, *words)
    assert code == 0, err
    assert np.load(out / f"{strange}_score.npy").shape == (32, 64)
    assert len(list(out.glob("x*_score.npy"))) == 2
    with zipfile.ZipFile(out / "cvat.zip") as archive:
        assert r"SegmentationClass/Stra\udcdfe.png" in archive.namelist()
    images = json.loads((out / "coco.json").read_text())["images"]
    assert images[0]["file_name"] == r"Stra\udcdfe.png"
    words = ("--on", "folder", "--data.images", folder, "--data.labels", masks(folder, tmp_path))
    code, _, err = command("evaluate", model_folder, *words, "--out", tmp_path / "judged")
    assert code == 0, err
    assert r"Stra\udcdfe" in (tmp_path / "judged" / "report.html").read_text()


def masks(folder, root):
    """Write a mask of each image, with an object in the middle."""
    label = np.zeros((32, 64), np.uint8)
    label[8:24, 16:48] = 1
    for path in folder.iterdir():
        write_image(root / "masks" / "one.png", label)
        (root / "masks" / "one.png").rename(root / "masks" / path.name)
    return root / "masks"


def test_a_clip_is_a_file_though_its_name_looks_like_an_address(tmp_path, monkeypatch):
    name = "طريق:50%d #1.mp4"
    write_clip(tmp_path / "clip.mp4", 5, range(1, 3)).rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    source = open_source(name)
    assert len(list(source.frames((96, 128)))) == 5
    source.close()
