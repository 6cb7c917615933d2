"""`predict --format` writes all findings of a call, for other tools and back as labels."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest
from pycocotools.coco import COCO

import roadanomaly as ra
from roadanomaly.calibration import calibrate
from roadanomaly.data.folder import Folder


@pytest.fixture
def sensitive(tmp_path):
    """Save a model that finds something on noise."""
    model = ra.Model(ra.segmenter("espnetv2", scale=0.5), ra.detector("energy"))
    noise = np.random.default_rng(1).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    model.calibration = calibrate([model(noise).score.ravel()], 0.3, "noise")
    return model.save(tmp_path / "sensitive")


@pytest.fixture
def uncalibrated(tmp_path):
    folder = tmp_path / "uncalibrated"
    ra.Model(ra.segmenter("espnetv2", scale=0.5), ra.detector("energy")).save(folder)
    return folder


@pytest.fixture
def photo(photos):
    return photos / "a.jpg"


def test_the_last_line_says_when_there_is_no_object_or_no_threshold(
    command, sensitive, uncalibrated, photo, tmp_path
):
    words = (photo, "--out", tmp_path / "found")
    assert "no object above" in command("predict", sensitive, *words, "--min_area", 5000)[1]
    assert "the model has no threshold" in command("predict", uncalibrated, *words)[1]


def test_a_wrong_path_is_told_before_the_model_is_read(command, sensitive, tmp_path):
    (sensitive / "weights.safetensors").write_bytes(b"")
    code, _, err = command("predict", sensitive, tmp_path / "none.jpg")
    assert code == 2
    assert "none.jpg" in err


def test_findings_of_all_images_but_the_broken_one(command, sensitive, photos, tmp_path):
    (photos / "broken.jpg").write_bytes(b"no picture")
    out = tmp_path / "found"
    words = (sensitive, photos, "--out", out, "--min_area", 3, "--format", "coco,cvat")
    code, said, err = command("predict", *words)
    assert code == 2
    assert "broken.jpg" in err
    truth = COCO(out / "coco.json")
    results = truth.loadRes(str(out / "coco_results.json"))
    assert [image["file_name"] for image in truth.loadImgs(truth.getImgIds())] == [
        "a.jpg",
        "b.jpg",
        "c.jpg",
    ]
    with zipfile.ZipFile(out / "cvat.zip") as archive:
        archive.extractall(tmp_path / "unpacked")
    (photos / "broken.jpg").unlink()
    assert f"3 of 4 images written to {out}; {len(results.anns)} objects on 3 of them" in said
    for frame, image in zip(
        Folder(photos, root=tmp_path / "unpacked"), truth.getImgIds(), strict=True
    ):
        components = json.loads((out / f"{frame.id}_components.json").read_text())["components"]
        assert components
        annotations = results.loadAnns(results.getAnnIds(imgIds=[image]))
        assert [one["area"] for one in annotations] == [one["area"] for one in components]
        masks = np.sum([results.annToMask(one) for one in annotations], 0)
        np.testing.assert_array_equal(frame.truth.numpy(), masks)


def test_nothing_else_is_replaced(command, model_folder, photos, tmp_path):
    (tmp_path / "coco.json").write_text("mine")
    words = (model_folder, photos, "--out", tmp_path, "--format", "coco")
    code, _, err = command("predict", *words)
    assert code == 2
    assert "coco.json" in err
    assert (tmp_path / "coco.json").read_text() == "mine"


@pytest.mark.parametrize(
    ("model", "wanted", "said"),
    [("model_folder", "yolo", "known: coco, cvat"), ("uncalibrated", "coco", "roadanomaly fit")],
)
def test_what_cannot_be_written_is_refused(command, photos, tmp_path, request, model, wanted, said):
    folder = request.getfixturevalue(model)
    code, _, err = command("predict", folder, photos, "--out", tmp_path / "x", "--format", wanted)
    assert code == 2
    assert said in err
    assert not (tmp_path / "x").exists()
