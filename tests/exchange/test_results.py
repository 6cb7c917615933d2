"""A result in other tools' values, against SciPy's regions and pycocotools."""

from __future__ import annotations

import io
import json
import sys
import zipfile
from dataclasses import dataclass, field
from types import ModuleType

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO
from scipy import ndimage

from roadanomaly import Result
from roadanomaly.calibration import calibrate
from roadanomaly.errors import DataError, MissingExtra, NotCalibrated
from roadanomaly.exchange.coco import CocoFiles
from roadanomaly.exchange.cvat import COLOUR, CvatArchive, refuse_doubles
from roadanomaly.exchange.outlines import area
from roadanomaly.exchange.regions import number_regions

EIGHT = np.ones((3, 3))


def result(seed, min_area=5, shape=(50, 70)):
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 1.5)
    score = noise.astype(np.float32)
    calibration = calibrate([score.ravel()], 0.2, "noise")
    return Result(score, np.zeros(shape, np.uint8), calibration, min_area)


@dataclass
class Detections:
    """What `supervision.Detections` holds, with the shapes that it checks."""

    xyxy: np.ndarray
    mask: np.ndarray | None = None
    confidence: np.ndarray | None = None
    class_id: np.ndarray | None = None
    tracker_id: np.ndarray | None = None
    data: dict = field(default_factory=dict)

    def __post_init__(self):
        count = len(self.xyxy)
        assert self.xyxy.shape == (count, 4)
        assert self.mask.ndim == 3
        assert all(len(one) == count for one in (self.mask, self.confidence, self.class_id))
        assert all(len(one) == count for one in self.data.values())


@pytest.fixture
def supervision(monkeypatch):
    module = ModuleType("supervision")
    module.Detections = Detections
    monkeypatch.setitem(sys.modules, "supervision", module)


@pytest.mark.parametrize("seed", range(4))
def test_numbers_are_scipy_s_regions(seed):
    found = result(seed)
    numbers = number_regions(found.mask, found.components)
    labels, count = ndimage.label(found.mask, EIGHT)
    assert len(found.components) == count > 1
    np.testing.assert_array_equal(numbers > 0, labels > 0)
    for place, component in enumerate(found.components, 1):
        assert len(set(labels[numbers == place])) == 1
        assert (numbers == place).sum() == component.area
        assert found.score[numbers == place].mean() == pytest.approx(component.mean_score, rel=1e-5)


def test_features_are_plain_geojson_of_the_components_in_their_order():
    found = result(0)
    collection = json.loads(json.dumps(found.to_polygons()))
    assert collection["type"] == "FeatureCollection"
    assert len(collection["features"]) == len(found.components)
    for feature, component in zip(collection["features"], found.components, strict=True):
        geometry = feature["geometry"]
        polygons = geometry["coordinates"]
        polygons = [polygons] if geometry["type"] == "Polygon" else polygons
        assert len(polygons) == 1 or geometry["type"] == "MultiPolygon"
        assert sum(area(ring) for rings in polygons for ring in rings) == component.area
        points = np.array([point for rings in polygons for ring in rings for point in ring])
        assert [*points.min(0), *points.max(0)] == feature["bbox"]
        assert feature["properties"]["mean_score"] == component.mean_score


def test_detections_of_supervision(supervision):
    found = result(1)
    detections = found.to_supervision()
    union = np.zeros_like(found.mask)
    for place, component in enumerate(found.components):
        x0, y0, x1, y1 = detections.xyxy[place].astype(int)
        mask = detections.mask[place]
        assert mask[y0:y1, x0:x1].sum() == mask.sum() == component.area
        assert (x1 - x0, y1 - y0) == component.box[2:]
        assert not (union & mask).any()
        union |= mask
    np.testing.assert_array_equal(union, found.mask)
    assert Result(found.score, found.classes, found.calibration, 10**6).to_supervision().mask.shape


def test_without_supervision_or_a_threshold_an_error_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "supervision", None)
    found = result(2)
    with pytest.raises(MissingExtra, match=r"pip install \"roadanomaly\[supervision\]\""):
        found.to_supervision()
    with pytest.raises(NotCalibrated, match="roadanomaly fit"):
        Result(found.score, found.classes, None, 1).to_polygons()


def test_pycocotools_opens_the_set_and_its_results(tmp_path):
    results = [result(seed, shape=(40 + seed, 60)) for seed in range(3)]
    files = CocoFiles(tmp_path)
    for seed, one in enumerate(results):
        files.add(f"drive/{seed}.jpg", one.mask, one.components)
    files.close()
    truth = COCO(tmp_path / "coco.json")
    loaded = truth.loadRes(str(tmp_path / "coco_results.json"))
    for coco in (truth, loaded):
        for seed, one in enumerate(results):
            (image,) = (i for i in coco.dataset["images"] if i["file_name"] == f"drive/{seed}.jpg")
            annotations = coco.loadAnns(coco.getAnnIds(imgIds=[image["id"]]))
            assert len(annotations) == len(one.components)
            masks = [coco.annToMask(annotation) for annotation in annotations]
            np.testing.assert_array_equal(np.sum(masks, 0), one.mask)
            for annotation, component in zip(annotations, one.components, strict=True):
                assert annotation["area"] == component.area
                assert tuple(annotation["bbox"]) == component.box
                assert annotation["score"] == component.mean_score


def test_the_archive_holds_what_cvat_asks_for(tmp_path):
    one = result(3)
    archive = CvatArchive(tmp_path)
    archive.add("drive/a.jpg", one.mask, one.components)
    archive.close()
    with zipfile.ZipFile(tmp_path / "cvat.zip") as file:
        pictures = {
            name: cv2.imdecode(np.frombuffer(file.read(name), np.uint8), cv2.IMREAD_UNCHANGED)
            for name in file.namelist()
            if name.endswith(".png")
        }
        labels = io.StringIO(file.read("labelmap.txt").decode()).readlines()
        assert file.read("ImageSets/Segmentation/default.txt").decode() == "drive/a\n"
    colours = dict(line.split(":")[:2] for line in labels if not line.startswith("#"))
    assert colours == {"background": "0,0,0", "anomaly": ",".join(map(str, COLOUR))}
    classes = pictures["SegmentationClass/drive/a.png"][..., ::-1]
    np.testing.assert_array_equal((classes == COLOUR).all(2), one.mask)
    np.testing.assert_array_equal((classes == 0).all(2), ~one.mask)
    objects = pictures["SegmentationObject/drive/a.png"].astype(int) @ [1, 1 << 8, 1 << 16]
    for component in one.components:
        x, y, width, height = component.box
        box = objects[y : y + height, x : x + width]
        assert component.area in np.unique(box[box > 0], return_counts=True)[1]
    assert len(np.unique(objects)) == len(one.components) + 1


def test_images_that_cvat_could_not_tell_apart_are_refused():
    refuse_doubles(["a/b.jpg", "a/c.jpg", "b.jpg"])
    with pytest.raises(DataError, match=r"a/b\.jpg and a/b\.png"):
        refuse_doubles(["a/b.jpg", "a/b.png"])
