"""Tiny made-up sets of known classes on disk, one function a layout; each returns the root."""

from __future__ import annotations

import json
from pathlib import Path

from tests import layouts

VISTAS: tuple[str, ...] = (
    "animal--bird",
    "animal--ground-animal",
    "construction--barrier--curb",
    "construction--barrier--fence",
    "construction--barrier--guard-rail",
    "construction--barrier--other-barrier",
    "construction--barrier--wall",
    "construction--flat--bike-lane",
    "construction--flat--crosswalk-plain",
    "construction--flat--curb-cut",
    "construction--flat--parking",
    "construction--flat--pedestrian-area",
    "construction--flat--rail-track",
    "construction--flat--road",
    "human--rider--other-rider",
    "marking--general",
    "object--vehicle--car",
    "void--ego-vehicle",
    "void--unlabeled",
)
"""Some classes of version 1.2, the first fourteen at their published places."""
VISTAS2: tuple[str, ...] = (
    "human--person--individual",
    "marking--discrete--arrow--left",
    "object--traffic-light--general-upright",
    "object--traffic-sign--back",
    "void--static",
)
IDS = {"idd": (*range(40), 255), "ade20k": tuple(range(151))}


def bdd100k(root: Path) -> Path:
    """`images/10k/<split>/<id>.jpg`, `labels/sem_seg/masks/<train|val>/<id>.png`."""
    top = root / "bdd100k"
    for part in ("train", "val", "test"):
        names = [f"{part}0000-{i}" for i in range(2)]
        layouts.write_all(top / "images" / "10k" / part, (f"{name}.jpg" for name in names))
        if part != "test":
            masks = top / "labels" / "sem_seg" / "masks" / part
            layouts.write_all(masks, (f"{name}.png" for name in names), (*range(19), 255))
    return root


def acdc(root: Path) -> Path:
    """`rgb_anon/<condition>/<split>/<recording>/`, `gt/` alike; one name in all conditions."""
    for condition in ("fog", "night", "rain", "snow"):
        for number, part in enumerate(("train", "val", "test", "train_ref")):
            place = Path(condition, part, f"GOPR040{number}")
            name = f"GOPR040{number}_frame_000001"
            ending = "_rgb_ref_anon.png" if part == "train_ref" else "_rgb_anon.png"
            layouts.write_all(root / "acdc" / "rgb_anon" / place, [name + ending])
            if part in ("train", "val"):
                labels = root / "acdc" / "gt" / place
                layouts.write_all(labels, [f"{name}_gt_labelIds.png"], (7, 8, 4, 33))
                layouts.write_all(labels, [f"{name}_gt_labelColor.png"], (7, 8))
                if condition == "fog":
                    layouts.write_all(labels, [f"{name}_gt_labelTrainIds.png"], (18, 255, 0))
    return root


def idd(root: Path, ending: str = "labelids", ids: tuple[int, ...] = IDS["idd"]) -> Path:
    """`leftImg8bit/<split>/<drive>/`, `gtFine/<split>/<drive>/`; file names recur in drives."""
    top = root / "IDD_Segmentation"
    for part in ("train", "val", "test"):
        for drive in ("12", "201"):
            place, name = Path(part, drive), "frame0029"
            layouts.write_photo(
                top / "leftImg8bit" / place / f"{name}_leftImg8bit.png", 1, (24, 123)
            )
            if part != "test":
                labels = top / "gtFine" / place
                layouts.write_ids(labels / f"{name}_gtFine_{ending}.png", ids, (24, 123))
                (labels / f"{name}_gtFine_polygons.json").write_text("{}")
    return root


def ade20k(root: Path) -> Path:
    """`images/<training|validation>/*.jpg`, `annotations/` alike, in `ADEChallengeData2016/`."""
    top = root / "ADEChallengeData2016"
    for part, short in (("training", "train"), ("validation", "val")):
        for i in (1, 2):
            name = f"ADE_{short}_{i:08d}"
            layouts.write_photo(top / "images" / part / f"{name}.jpg", i, (24, 302))
            layouts.write_ids(top / "annotations" / part / f"{name}.png", IDS["ade20k"], (24, 302))
    return root


def mapillary_vistas(root: Path, *, names: tuple[str, ...] = VISTAS, old: bool = False) -> Path:
    """`<split>/images/`, `<split>/v1.2/labels/` and `config_v1.2.json`; the old archive's alike."""
    return _vistas(root, names, "labels" if old else "v1.2/labels", "" if old else "_v1.2")


def mapillary_vistas_v2(root: Path) -> Path:
    """`<split>/images/`, `<split>/v2.0/labels/`, `config_v2.0.json`."""
    return _vistas(root, VISTAS2, "v2.0/labels", "_v2.0")


def _vistas(root: Path, names: tuple[str, ...], folder: str, version: str) -> Path:
    top = root / "mapillary-vistas"
    for part in ("training", "validation", "testing"):
        for name in ("-2z4rRvyQWyQcy5", "_aB3dEfGhIjKlMn"):
            size = (24, 2 * len(names))
            layouts.write_photo(top / part / "images" / f"{name}{part[0]}.jpg", 2, size)
            if part != "testing":
                label = top / part / folder / f"{name}{part[0]}.png"
                layouts.write_ids(label, tuple(range(len(names))), size)
    classes = [{"name": name, "readable": name.rpartition("--")[2]} for name in names]
    (top / f"config{version}.json").write_text(json.dumps({"labels": classes, "version": 1.2}))
    return root


def coco(root: Path) -> Path:
    """COCO as its archives unpack: both parts' images, instances, key points and panoptic."""
    notes = root / "annotations"
    notes.mkdir(parents=True)
    square = [2, 2, 20, 2, 20, 12, 2, 12]
    for part, first in (("train2017", 9), ("val2017", 139)):
        layouts.write_photo(root / part / f"{first:012d}.jpg", first)
        content = {
            "images": [
                {
                    "id": first,
                    "file_name": f"{first:012d}.jpg",
                    "license": 4,
                    "height": layouts.HEIGHT,
                    "width": layouts.WIDTH,
                }
            ],
            "annotations": [
                {
                    "id": 1,
                    "image_id": first,
                    "category_id": category,
                    "bbox": [2, 2, 18, 10],
                    "segmentation": [square],
                    "iscrowd": 0,
                }
                for category in (1, 21)
            ],
            "categories": [{"id": 1, "name": "person"}, {"id": 21, "name": "cow"}],
        }
        (notes / f"instances_{part}.json").write_text(json.dumps(content))
        for other in ("person_keypoints", "captions"):
            (notes / f"{other}_{part}.json").write_text(json.dumps(content))
        panoptic = {**content, "annotations": [{"image_id": first, "segments_info": []}]}
        (notes / f"panoptic_{part}.json").write_text(json.dumps(panoptic))
        layouts.write_ids(notes / f"panoptic_{part}" / f"{first:012d}.png", (0, 1))
    return root
