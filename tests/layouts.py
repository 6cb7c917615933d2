"""Tiny made-up data sets on disk, one function a supported layout; each returns the set's root."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

HEIGHT, WIDTH = 24, 32
CAMVID_IDS = tuple(range(12))
CITYSCAPES_LABEL_IDS = tuple(range(34))


def write_photo(path: Path, seed: int, size: tuple[int, int] = (HEIGHT, WIDTH)) -> None:
    """Write a smooth RGB image in the format that the name says."""
    noise = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), cv2.GaussianBlur(noise, (0, 0), 2))


def write_ids(path: Path, ids: tuple[int, ...], size: tuple[int, int] = (HEIGHT, WIDTH)) -> None:
    """Write an 8-bit grey PNG of vertical stripes, one an id."""
    columns = np.array(ids, np.uint8)[np.arange(size[1]) * len(ids) // size[1]]
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.tile(columns, (size[0], 1)))


def camvid(root: Path, train: int = 3, val: int = 2) -> Path:
    """`images/<split>/*.jpg`, `labels/<split>/*.png`."""
    for split, count in (("train", train), ("val", val)):
        for i in range(count):
            write_photo(root / "images" / split / f"seq_{i:03d}.jpg", i)
            write_ids(root / "labels" / split / f"seq_{i:03d}.png", CAMVID_IDS)
    return root


def cityscapes(
    root: Path, cities: tuple[str, ...] = ("aachen", "ulm"), count: int = 2, train_ids: bool = False
) -> Path:
    """`leftImg8bit/train/<city>/`, `gtFine/train/<city>/`: label ids, and train ids if wanted."""
    for city in cities:
        for i in range(count):
            name = f"{city}_{i:06d}_000019"
            label = root / "gtFine" / "train" / city / f"{name}_gtFine_labelIds.png"
            write_photo(
                root / "leftImg8bit" / "train" / city / f"{name}_leftImg8bit.png", i, (24, 68)
            )
            write_ids(label, CITYSCAPES_LABEL_IDS, (24, 68))
            write_ids(label.with_name(f"{name}_gtFine_color.png"), (1, 2), (24, 68))
            if train_ids:
                path = label.with_name(f"{name}_gtFine_labelTrainIds.png")
                write_ids(path, (3, 255), (24, 68))
    return root


def roadanomaly(root: Path, count: int = 3, listed: int | None = None) -> Path:
    """`frames/<name>.jpg`, `frames/<name>.labels/labels_semantic.png`, `frame_list.json`."""
    names = [f"animals{i:02d}_cow" for i in range(count)]
    for i, name in enumerate(names):
        write_photo(root / "frames" / f"{name}.jpg", i)
        write_ids(root / "frames" / f"{name}.labels" / "labels_semantic.png", (0, 2, 0, 0))
    if listed is not None:
        wanted = [f"animals{i:02d}_cow.webp" for i in range(listed)]
        (root / "frame_list.json").write_text(json.dumps(wanted), encoding="utf-8")
    return root


def coco_scenes(root: Path, count: int = 3) -> Path:
    """`annotations/instances_made.json` of a cow in each picture, `images/*.png`."""
    corners = [2, 2, 20, 2, 20, 12, 2, 12]
    images, notes = [], []
    for i in range(count):
        write_photo(root / "images" / f"meadow{i}.png", i)
        images.append({"id": i, "file_name": f"meadow{i}.png"})
        notes.append(
            {"image_id": i, "category_id": 1, "bbox": [2, 2, 18, 10], "segmentation": [corners]}
        )
    content = {
        "images": images,
        "annotations": notes,
        "categories": [{"id": 1, "name": "cow"}],
    }
    path = root / "annotations" / "instances_made.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    return root


def folder(root: Path, count: int = 3, ending: str = "_labels_semantic") -> Path:
    """`images/*.png`, `masks/<stem><ending>.png` of 0 inlier, 1 anomaly, 255 ignore."""
    for i in range(count):
        write_photo(root / "images" / f"validation{i:04d}.png", i)
        write_ids(root / "masks" / f"validation{i:04d}{ending}.png", (0, 1, 255, 0))
    return root


def write_all(folder: Path, names: Iterable[str], ids: tuple[int, ...] | None = None) -> None:
    """Write one content under many names: a photo, or a label of stripes where `ids` are given."""
    names = sorted(names)
    for name in names[:1]:
        if ids is None:
            write_photo(folder / name, 0)
        else:
            write_ids(folder / name, ids)
    for name in names[1:]:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((folder / names[0]).read_bytes())


ANOMALY_TEST = ("cow0000", "carriage0000", "carriage0001", "tent0000")
OBSTACLE_TEST = ("gravel_boot_1", "darkasphalt2_dog_1", "snowstorm1_00_03", "driveway_carton_3")


def track(root: Path, ids: Iterable[str], labelled: Iterable[str], suffix: str) -> Path:
    """`images/<id><suffix>`, `labels_masks/<id>_labels_semantic.png`."""
    write_all(root / "images", (i + suffix for i in ids))
    masks = [f"{i}_labels_semantic.png" for i in labelled]
    write_all(root / "labels_masks", masks, (0, 1, 255, 0))
    write_all(root / "labels_masks", [m.replace(".png", "_color.png") for m in masks], (7, 8))
    return root


def smiyc_anomaly(root: Path, test: Iterable[str] = ANOMALY_TEST, suffix: str = ".jpg") -> Path:
    """AnomalyTrack below `dataset_AnomalyTrack/`: ten validation frames with truth, some test."""
    shown = [f"validation{i:04d}" for i in range(10)]
    track(root / "dataset_AnomalyTrack", [*test, *shown], shown, suffix)
    return root


def smiyc_obstacle(root: Path, test: Iterable[str] = OBSTACLE_TEST, suffix: str = ".webp") -> Path:
    """ObstacleTrack below `dataset_ObstacleTrack/`: thirty validation frames with truth."""
    shown = [f"validation_{i}" for i in (*range(1, 19), 20, *range(30, 41))]
    track(root / "dataset_ObstacleTrack", [*test, *shown], shown, suffix)
    return root


def oodis_roadanomaly(root: Path) -> Path:
    """AnomalyTrack with the test's truth too, as only the server has it."""
    track(root / "dataset_AnomalyTrack", ANOMALY_TEST, ANOMALY_TEST, ".jpg")
    return root


def oodis_roadobstacle(root: Path) -> Path:
    """ObstacleTrack with the test's truth too, as only the server has it."""
    track(root / "dataset_ObstacleTrack", OBSTACLE_TEST, OBSTACLE_TEST, ".webp")
    return root


LAF_TEST = (
    *(f"02_Hanns_Klemm_Str_44_000000_{i:06d}" for i in (10, 20)),
    "04_Maurener_Weg_8_000000_000030",
    "15_Rechbergstr_Deckenpfronn_000001_000280",
)
LAF_TRAIN = ("01_Hanns_Klemm_Str_45_000006_000240", "13_Elly_Beinhorn_Str_000002_000100")
LAF_IDS = (0, 1, 2, 39, 200)


def laf(
    root: Path,
    test: Iterable[str] = LAF_TEST,
    train: Iterable[str] = LAF_TRAIN,
    suffix: str = ".png",
) -> Path:
    """`leftImg8bit/<part>/<scene>/`, `gtCoarse/<part>/<scene>/` in `dataset_LostAndFound/`."""
    top = root / "dataset_LostAndFound"
    for part, ids in (("test", test), ("train", train)):
        places = [f"{i[:-14]}/{i}" for i in ids]
        images = (f"{place}_leftImg8bit{suffix}" for place in places)
        write_all(top / "leftImg8bit" / part, images)
        for kind, values in (("labelIds", LAF_IDS), ("color", (9, 9))):
            labels = (f"{place}_gtCoarse_{kind}.png" for place in places)
            write_all(top / "gtCoarse" / part, labels, values)
    return root


laf_noknown = laf


def oodis_fishyscapes(root: Path) -> Path:
    """LostAndFound, and instance maps of 16 bits for its test."""
    laf(root)
    values = np.array([0, 1, 1000, 24001], np.uint16)[np.arange(WIDTH) // 8]
    for i in LAF_TEST:
        folder = root / "dataset_LostAndFound" / "gtCoarse" / "test" / i[:-14]
        path = folder / f"{i}_gtCoarse_instanceIds.png"
        assert cv2.imwrite(str(path), np.tile(values, (HEIGHT, 1)))
    return root


def fishyscapes_laf(root: Path, ids: Iterable[str] = (*LAF_TEST[:2], LAF_TRAIN[1])) -> Path:
    """Fishyscapes' label archive in `fishyscapes/`, LostAndFound beside it."""
    laf(root)
    labels = (f"{n:04d}_{i}_labels.png" for n, i in enumerate(ids))
    write_all(root / "fishyscapes" / "fishyscapes_lostandfound", labels, (0, 1, 255, 0))
    return root


STATIC_IDS = ("0000_frankfurt_000001_046504", "0001_lindau_000002_000019")


def fishyscapes_static(root: Path) -> Path:
    """`fs_val_v3/` with overlays and labels, and the Cityscapes images that they belong to."""
    top = root / "fishyscapes"
    write_all(top / "fs_val_v3", (f"{i}_labels.png" for i in STATIC_IDS), (0, 1, 255, 0))
    overlay = np.zeros((HEIGHT, WIDTH, 3), np.int16)
    overlay[:, WIDTH // 4 : WIDTH // 2] = 300, -300, 0
    for i in STATIC_IDS:
        np.savez_compressed(top / "fs_val_v3" / f"{i}_rgb.npz", rgb=overlay)
        city = i.split("_")[1]
        below = Path("leftImg8bit", "val", city, f"{i[5:]}_leftImg8bit.png")
        write_photo(root / "cityscapes" / below, 3)
    return root


def streethazards(root: Path) -> Path:
    """`test/images/test/<town>/`, `train/images/<training|validation>/<town>/`, annotations."""
    places = {
        "train/{}/training/t1": ("100", "101"),
        "train/{}/validation/t3": ("100",),
        "test/{}/test/t5": ("300", "301"),
        "test/{}/test/t6": ("300",),
    }
    for place, names in places.items():
        files = [f"{name}.png" for name in names]
        ids = tuple(range(1, 15 if "test" in place else 14))
        write_all(root / "streethazards" / place.format("images"), files)
        write_all(root / "streethazards" / place.format("annotations"), files, ids)
    return root


def bdd_anomaly(root: Path) -> Path:
    """The 2018 release of BDD100K: `seg/images/`, `seg/labels/<id>_train_id.png`."""
    top = root / "bdd100k" / "seg"
    for part, shown in (("train", (0, 17, 255)), ("train", (0, 15)), ("val", (13, 16, 18, 2))):
        name = f"{part[0]}{shown[0]}{len(shown)}-0000"
        write_all(top / "images" / part, [f"{name}.jpg"])
        write_all(top / "labels" / part, [f"{name}_train_id.png"], shown)
    return root


def issu(root: Path) -> Path:
    """`dataset_ISSUTrack/images/`, `labels_masks/` under the same names."""
    names = ("static_0_009599.png", "static_0_020764.png", "temporal_99_520.png")
    write_all(root / "dataset_ISSUTrack" / "images", names)
    write_all(root / "dataset_ISSUTrack" / "labels_masks", names, (*range(19), 254, 255))
    return root


def validation_dataset(root: Path) -> Path:
    """`Validation_Dataset/` as it is handed round: five sets of numbered frames."""
    for name, count, suffix in (
        ("RoadAnomaly21", 10, ".png"),
        ("RoadObsticle21", 30, ".webp"),
        ("FS_LostFound_full", 100, ".png"),
        ("fs_static", 30, ".jpg"),
        ("RoadAnomaly", 60, ".jpg"),
    ):
        top = root / "Validation_Dataset" / name
        values = (0, 2, 2, 0) if name == "RoadAnomaly" else (0, 1, 255, 0)
        write_all(top / "images", (f"{i}{suffix}" for i in range(count)))
        write_all(top / "labels_masks", (f"{i}.png" for i in range(count)), values)
    return root / "Validation_Dataset"


def __getattr__(name: str) -> Any:
    """Find a layout by its name in the catalogue, which has hyphens; also a labelled set's."""
    from tests import labelled_layouts

    written = name.replace("-", "_")
    found = globals().get(written) if "-" in name else None
    found = found or vars(labelled_layouts).get(written)
    if found is None:
        raise AttributeError(name)
    return found
