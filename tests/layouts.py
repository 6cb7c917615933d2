"""Tiny made-up data sets on disk, one function a supported layout; each returns the set's root."""

from __future__ import annotations

import json
from pathlib import Path

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


def folder(root: Path, count: int = 3, ending: str = "_labels_semantic") -> Path:
    """`images/*.png`, `masks/<stem><ending>.png` of 0 inlier, 1 anomaly, 255 ignore."""
    for i in range(count):
        write_photo(root / "images" / f"validation{i:04d}.png", i)
        write_ids(root / "masks" / f"validation{i:04d}{ending}.png", (0, 1, 255, 0))
    return root
