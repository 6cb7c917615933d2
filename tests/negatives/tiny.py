"""Tiny made-up cut-out sets on disk, one function a format; each returns the set's root."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import torch

from roadanomaly.types import Batch

HEIGHT, WIDTH = 40, 50
BOX = (10, 5, 20, 30)
"""x, y, width and height of the first object of every image."""


def write(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels)


def photo(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(60, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def yolo(root: Path, images: int = 3) -> Path:
    """A dog (16) that is a rectangle and a car (2) that is a triangle in each image."""
    x, y, width, height = BOX
    corners = [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]
    dog = " ".join(f"{a / WIDTH} {b / HEIGHT}" for a, b in corners)
    for index in range(images):
        write(root / f"images/train/{index:03}.jpg", photo(index))
        label = root / f"labels/train/{index:03}.txt"
        label.parent.mkdir(parents=True, exist_ok=True)
        label.write_text(f"16 {dog}\n2 0.7 0.1 0.9 0.1 0.8 0.6\n")
    return root


def coco(root: Path, images: int = 3) -> Path:
    """The same dog of two parts, a kite with a hole, a car, and a crowd, in each image."""
    x, y, width, height = BOX
    annotations = []
    ring = np.zeros((HEIGHT, WIDTH), np.uint8)
    ring[2:12, 30:45], ring[5:8, 35:40] = 1, 0
    parts = [[x, y, x + width, y, x + width, y + 10, x, y + 10]]
    parts.append([x, y + 20, x + width, y + 20, x + width, y + height, x, y + height])
    square = [[1, 1, 9, 1, 9, 9, 1, 9]]
    for index in range(images):
        write(root / f"train/{index:03}.png", photo(index))
        for category, box, shape, crowd in (
            (18, BOX, parts, 0),
            (38, (30, 2, 15, 10), {"counts": runs(ring), "size": [HEIGHT, WIDTH]}, 0),
            (3, (1, 1, 8, 8), square, 0),
            (38, (1, 1, 8, 8), {"counts": runs(ring), "size": [HEIGHT, WIDTH]}, 1),
        ):
            annotations.append(
                {
                    "image_id": index,
                    "category_id": category,
                    "bbox": list(box),
                    "segmentation": shape,
                    "iscrowd": crowd,
                }
            )
    content = {
        "images": [
            {"id": i, "file_name": f"{i:03}.png", "width": WIDTH, "height": HEIGHT}
            for i in range(images)
        ],
        "categories": [
            {"id": 3, "name": "car"},
            {"id": 18, "name": "dog"},
            {"id": 38, "name": "kite"},
        ],
        "annotations": annotations,
    }
    path = root / "annotations/instances_train.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return root


def runs(mask: np.ndarray) -> list[int]:
    """Encode a mask as COCO run lengths, pixel by pixel."""
    counts, value = [0], 0
    for pixel in mask.T.ravel():
        if pixel != value:
            counts.append(0)
            value = pixel
        counts[-1] += 1
    return counts


def index_mask(root: Path, images: int = 3) -> Path:
    """Two lamps and a wall on unlabelled ground in each image."""
    ids = np.zeros((HEIGHT, WIDTH), np.uint8)
    x, y, width, height = BOX
    ids[y : y + height, x : x + width] = 2
    ids[10:20, 35:45] = 2
    ids[25:38, 35:48] = 1
    for index in range(images):
        write(root / f"images/training/{index:03}.jpg", photo(index))
        write(root / f"annotations/training/{index:03}.png", ids)
    rows = ["Idx\tRatio\tTrain\tVal\tStuff\tName"]
    rows += ["1\t0.1\t5\t5\t1\twall", "2\t0.1\t5\t5\t0\tlamp, light source"]
    (root / "objectInfo150.txt").write_text("\n".join(rows))
    return root


def rgba(root: Path, images: int = 3) -> Path:
    """A cone and a car with a half-transparent rim, each file one object."""
    x, y, width, height = BOX
    alpha = np.zeros((HEIGHT, WIDTH), np.uint8)
    alpha[y : y + height, x : x + width] = 128
    alpha[y + 1 : y + height - 1, x + 1 : x + width - 1] = 255
    for index in range(images):
        for category in ("cone", "car"):
            pixels = np.dstack([photo(index), alpha])
            write(root / category / f"{category}{index:03}.png", pixels)
    return root


FORMATS = {"yolo": yolo, "coco": coco, "index_mask": index_mask, "rgba": rgba}


def batch(size: int = 3, height: int = 96, width: int = 128, seed: int = 0) -> Batch:
    """Random crops: sky (10) above, road (0) below, void (255) in a corner."""
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (size, 3, height, width), dtype=np.uint8)
    label = np.full((size, height, width), 10, np.uint8)
    label[:, height // 2 :] = 0
    label[:, -20:, -20:] = 255
    ids = tuple(str(index) for index in range(size))
    return Batch(torch.from_numpy(image), torch.from_numpy(label), ids)
