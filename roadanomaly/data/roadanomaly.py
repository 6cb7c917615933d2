"""RoadAnomaly: 60 photographs of animals, rocks, cones and other obstacles on real roads."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from roadanomaly.data.base import FrameSet
from roadanomaly.data.class_maps import remap, table
from roadanomaly.data.handed_round import is_handed_round, numbered, tops
from roadanomaly.data.images import check_same_size, list_images, read_image, read_label
from roadanomaly.data.roots import ENVIRONMENT, check_pairs, find_folder, find_root, shorten
from roadanomaly.errors import DataError, OptionError
from roadanomaly.files import expanded
from roadanomaly.types import IGNORE, Frame

PUBLISHED_FRAMES = 60
"""Frames of the set as published; a copy with fewer says so in its record."""

_ANOMALY = table({0: 0, 2: 1})
_ANOMALY_HANDED_ROUND = table({0: 0, 1: 1, 2: 1, IGNORE: IGNORE})


class RoadAnomaly(FrameSet):
    """RoadAnomaly, 1280×720: a test set, never to be trained or selected on.

    Frames are `frames/<name>.jpg` (or another image format), masks
    `frames/<name>.labels/labels_semantic.png` with 0 for background and 2 for an anomaly. Where
    `frame_list.json` lies beside `frames/`, it decides which frames the set has. As the set is
    handed round, frames are `images/<n>.jpg` and masks `labels_masks/<n>.png`, and the numbers are
    the ids.

    Args:
        split: `all`, the only one.
        root: folder that holds `frames/` or `images/`, or that holds `RoadAnomaly/`; None looks
            where `find_root` says.

    Raises:
        DataError: the root is absent, or a listed frame or its mask is missing.
        OptionError: another split than `all`.
    """

    source = "RoadAnomaly (Lis et al., ICCV 2019), 60 frames of 1280×720"
    licence = "labels CC BY-SA 4.0; images by their owners (credits.txt), for research"

    def __init__(self, split: str = "all", root: str | Path | None = None) -> None:
        if split != "all":
            msg = f"`split` of roadanomaly is {split!r}; the set has one split, `all`."
            raise OptionError(msg)
        self.root = _find(root)
        found = numbered(self.root, "roadanomaly")
        self.copied = found is not None
        self.table = _ANOMALY_HANDED_ROUND if self.copied else _ANOMALY
        self.images, self.labels = _as_published(self.root) if found is None else found
        if self.copied:
            check_pairs(self.images, self.labels, self.root / "images", self.root / "labels_masks")
        self.ids = sorted(self.images)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> Frame:
        name = self.ids[index]
        image, mask = read_image(self.images[name], upright=False), read_label(self.labels[name])
        check_same_size(image, mask, self.images[name], self.labels[name])
        return Frame(name, image, anomaly=remap(mask, self.table, str(self.labels[name])))

    def files_of(self, frame_id: str) -> list[Path]:
        """Return image and label."""
        return [self.images[frame_id], self.labels[frame_id]]

    def record(self) -> dict[str, Any]:
        """Return name, split, count, how many of the published frames, and root's last folder."""
        return {
            "name": "roadanomaly",
            "split": "all",
            "count": len(self),
            "frames": f"{len(self)} of {PUBLISHED_FRAMES}",
            "root": self.root.absolute().name,
        }


def _find(root: str | Path | None) -> Path:
    """Return the set's folder, as its authors pack it or as it is handed round."""
    base = Path(root if root is not None else os.environ.get(ENVIRONMENT) or "datasets")
    usual = expanded(base) / "roadanomaly"
    if not usual.is_dir():
        for place in (expanded(base) / top for top in tops("roadanomaly")):
            if is_handed_round(place):
                return place
    return find_root("roadanomaly", root)


def _as_published(root: Path) -> tuple[dict[str, Path], dict[str, Path]]:
    """Return images and masks by name, those that the frame list names where there is one."""
    folder = find_folder(root, "frames")
    images = {path.stem: path for path in list_images(folder)}
    masks = folder.glob("*.labels/labels_semantic.png")
    labels = {path.parent.name.removesuffix(".labels"): path for path in masks}
    listed = _listed(root / "frame_list.json")
    if listed is not None:
        images = _only(listed, images, folder)
        labels = {key: path for key, path in labels.items() if key in listed}
    check_pairs(images, labels, folder, folder)
    return images, labels


def _listed(path: Path) -> set[str] | None:
    """Read the names (without extension) that a frame list holds; None where there is no list."""
    if not path.exists():
        return None
    try:
        names = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        names = error
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        msg = (
            f"{path} should be a JSON list of image file names, but is not ({shorten([str(names)])}"
            "). Download it again, or remove it to take every frame of the folder."
        )
        raise DataError(msg)
    return {Path(name).stem for name in names}


def _only(listed: set[str], images: dict[str, Path], folder: Path) -> dict[str, Path]:
    missing = sorted(listed - set(images))
    if missing:
        msg = (
            f"{len(missing)} of the {len(listed)} frames that frame_list.json names are not in "
            f"{folder.absolute()}: {shorten(missing)}. Download the set again, or take their names "
            "out of frame_list.json to work on a part; results then say how many frames of how "
            "many."
        )
        raise DataError(msg)
    return {name: images[name] for name in sorted(listed)}
