r"""Which known classes a detector takes for anomalies: false alarms on objects of COCO pictures.

    python benchmarks/class_alarms.py runs/a runs/b --images coco_more/images \
        --annotations coco_more/annotations/instances_more.json

Each model scores the pictures that show one of the classes. Of every class are printed its objects,
the share of their pixels above the model's own threshold (which so many inliers of its validation
set exceed), and the share of objects that lie above it with more than half of their pixels. Crowds
and objects below `--min_area` are left out. With two models, the last column is the difference of
the first two shares in points, and its standard error over the pictures.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from pycocotools.coco import COCO

import roadanomaly as ra

CLASSES = ("car", "truck", "bus", "train", "person", "motorcycle", "bicycle")

Shares = dict[str, dict[str, list[tuple[int, int]]]]
"""By class and picture: pixels above the threshold and pixels of each object."""


def objects(path: Path, classes: tuple[str, ...], min_area: int) -> dict[str, list[dict]]:
    """Return the annotations of wanted objects by the picture's file name."""
    found: dict[str, list[dict]] = defaultdict(list)
    coco = COCO(str(path))
    names = {one["id"]: one["name"] for one in coco.loadCats(coco.getCatIds())}
    for one in coco.loadAnns(coco.getAnnIds(iscrowd=False)):
        if names[one["category_id"]] in classes and one["area"] >= min_area:
            picture = coco.loadImgs(one["image_id"])[0]["file_name"]
            inside = coco.annToMask(one).astype(bool)
            found[picture].append({"class": names[one["category_id"]], "inside": inside})
    return found


def alarms(model: ra.Model, images: Path, wanted: dict[str, list[dict]]) -> Shares:
    """Score the pictures, and count what lies above the model's threshold."""
    assert model.calibration is not None
    shares: Shares = defaultdict(lambda: defaultdict(list))
    for picture, found in sorted(wanted.items()):
        above = model(images / picture).score > model.calibration.threshold
        for one in found:
            inside = one["inside"]
            counts = int(above[inside].sum()), int(inside.sum())
            shares[one["class"]][picture].append(counts)
    return shares


def of_pixels(pictures: dict[str, list[tuple[int, int]]]) -> float:
    counts = np.array([one for found in pictures.values() for one in found])
    return float(100 * counts[:, 0].sum() / counts[:, 1].sum())


def of_objects(pictures: dict[str, list[tuple[int, int]]]) -> float:
    counts = np.array([one for found in pictures.values() for one in found])
    return float(100 * (2 * counts[:, 0] > counts[:, 1]).mean())


def difference(one: dict, other: dict) -> tuple[float, float]:
    """Return the mean difference of the pictures' shares in points, and its standard error."""
    points = [of_pixels({name: one[name]}) - of_pixels({name: other[name]}) for name in one]
    error = np.std(points, ddof=1) / np.sqrt(len(points)) if len(points) > 1 else np.nan
    return float(np.mean(points)), float(error)


def lines(found: list[Shares]) -> Iterator[str]:
    """Write the table."""
    for name in sorted(found[0]):
        first = found[0][name]
        cells = [f"{name:11}", f"{sum(map(len, first.values())):4} in {len(first):3} pictures"]
        for shares in found:
            cells.append(f"{of_pixels(shares[name]):6.1f} % of pixels")
            cells.append(f"{of_objects(shares[name]):6.1f} % of objects")
        if len(found) == 2:
            mean, error = difference(first, found[1][name])
            cells.append(f"{mean:+6.1f} ± {error:.1f} points a picture")
        yield "  ".join(cells)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="+", help="runs or saved models with a threshold")
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--annotations", type=Path, required=True, help="COCO JSON")
    parser.add_argument("--classes", nargs="+", default=CLASSES, help="COCO's names")
    parser.add_argument("--min_area", type=int, default=1000, help="pixels of an object")
    given = parser.parse_args()
    wanted = objects(given.annotations, tuple(given.classes), given.min_area)
    found = [alarms(ra.load(one), given.images, wanted) for one in given.models]
    print("\n".join(lines(found)))


if __name__ == "__main__":
    main()
