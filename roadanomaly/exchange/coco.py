"""Detections of many images as COCO writes them: a data set, and a list of results."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from roadanomaly.exchange.regions import each_region
from roadanomaly.files import write_text
from roadanomaly.types import Component

CATEGORY = {"id": 1, "name": "anomaly", "supercategory": "anomaly"}
DATASET, RESULTS = "coco.json", "coco_results.json"


class CocoFiles:
    """`coco.json`, a data set (images, categories, annotations), and `coco_results.json`.

    The second is the list that `COCO.loadRes` takes beside the first. Regions are run lengths,
    exact, holes included. `score` is a component's mean score, unbounded.

    Args:
        folder: to write into.
    """

    names = (DATASET, RESULTS)

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.images: list[dict[str, Any]] = []
        self.annotations: list[dict[str, Any]] = []

    def add(self, file: str, mask: np.ndarray, components: Sequence[Component]) -> None:
        """Take in an image.

        Args:
            file: its path, as the data set is to name it.
            mask: `(H, W)` bool, of `find_components`.
            components: of the same call.
        """
        height, width = mask.shape
        image = len(self.images) + 1
        self.images.append({"id": image, "file_name": file, "height": height, "width": width})
        for component, region in each_region(mask, components):
            self.annotations.append(
                {
                    "id": len(self.annotations) + 1,
                    "image_id": image,
                    "category_id": CATEGORY["id"],
                    "segmentation": run_lengths(region, component.box, (height, width)),
                    "area": component.area,
                    "bbox": list(component.box),
                    "iscrowd": 0,
                    "score": component.mean_score,
                }
            )

    def close(self) -> None:
        """Write both files.

        Raises:
            UserError: the folder cannot be written.
        """
        whole = {
            "info": {"description": "road anomalies found by roadanomaly"},
            "images": self.images,
            "categories": [CATEGORY],
            "annotations": self.annotations,
        }
        keys = ("image_id", "category_id", "segmentation", "score")
        results = [{key: one[key] for key in keys} for one in self.annotations]
        write_text(self.folder / DATASET, json.dumps(whole) + "\n")
        write_text(self.folder / RESULTS, json.dumps(results) + "\n")


def run_lengths(
    region: np.ndarray, box: tuple[int, int, int, int], size: tuple[int, int]
) -> dict[str, Any]:
    """Return a region as COCO's compressed run lengths.

    Args:
        region: `(height, width)` bool, the pixels in its box.
        box: `(x, y, width, height)`.
        size: `(H, W)` of the image.
    """
    x, y, width, height = box
    whole: np.ndarray = np.zeros(size, np.uint8, order="F")
    whole[y : y + height, x : x + width] = region
    encoded = coco_mask.encode(whole)
    return {"size": list(size), "counts": encoded["counts"].decode("ascii")}
