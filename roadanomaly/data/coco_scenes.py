"""COCO pictures as whole scenes: objects that roads do not have, where they belong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from roadanomaly.data.base import FrameSet
from roadanomaly.data.class_names import CITYSCAPES
from roadanomaly.data.cutouts import Entry, open_cutouts
from roadanomaly.data.cutouts.names import INDOOR, ROAD_CLASSES
from roadanomaly.data.images import check_same_size, read_image, read_label
from roadanomaly.data.parts import check_part, in_part
from roadanomaly.data.roots import find_set, shorten
from roadanomaly.errors import DataError, OptionError
from roadanomaly.files import expanded
from roadanomaly.types import IGNORE, NEGATIVE, Frame

KNOWN = {
    "person": "person",
    "bicycle": "bicycle",
    "car": "car",
    "motorcycle": "motorcycle",
    "bus": "bus",
    "train": "train",
    "truck": "truck",
    "traffic light": "traffic light",
    "stop sign": "traffic sign",
}
"""Classes of COCO to those of Cityscapes that they are."""


class CocoScenes(FrameSet):
    """Outdoor pictures with objects that roads do not have, standing where they stand.

    Pasting teaches how pasting looks; here negatives have their own edges, light and shadow.
    Objects are `NEGATIVE` with an ignored rim, people and vehicles their Cityscapes class, and
    what surrounds them is labelled by class maps, such as `roadanomaly label` writes, or ignored.
    Crowds of what roads do not have are ignored, since their regions hold what lies between, too.
    A picture counts as outdoors where nothing in it, crowds included, belongs into a house or on a
    table.

    Args:
        root: the set's folder, or the name of one under `$ROADANOMALY_DATA` or `datasets/`; in any
            format that cut-outs may have.
        labels: folder of class maps, Cityscapes train ids or 252 to 255, one for each picture by
            its name; None ignores all surroundings.
        part: `"train"` and `"held_out"` share no picture, `"all"` is both.
        held_out: share of the pictures in `"held_out"`, chosen by a hash of their names.
        licences: numbers of the licences, as the COCO file gives them, whose pictures are used;
            pictures without one are then left out. None asks for none.
        rim: pixels around a negative that are ignored.

    Raises:
        DataError: the set or a class map is missing, two pictures would share one, or no picture
            is left.
        OptionError: a value out of range.
    """

    source = "COCO 2017, or any set in a format of the cut-outs"
    licence = "annotations CC BY 4.0; pictures: Flickr, each its own"

    def __init__(
        self,
        root: str = "coco_more",
        labels: str | None = None,
        part: str = "all",
        held_out: float = 0.2,
        licences: Sequence[int] | None = None,
        rim: int = 3,
    ) -> None:
        check_part(part, held_out)
        if not 0 <= rim <= 100:
            msg = f"`rim` of coco_scenes is {rim}; it must lie between 0 and 100 pixels."
            raise OptionError(msg)
        self.classes = CITYSCAPES
        self.part, self.rim = part, rim
        self.reader = open_cutouts(find_set(root))
        self.scenes = {
            path: objects
            for path, objects in self._outdoors().items()
            if in_part(path.stem, part, held_out)
            and (licences is None or objects[0].licence in licences)
        }
        if not self.scenes:
            msg = (
                f"no outdoor picture is left of those in {str(self.reader.root)!r}: `part` is "
                f"{part} and `licences` {licences}. Loosen these, or name another `root`."
            )
            raise DataError(msg)
        self.paths = sorted(self.scenes)
        self.ids = [path.stem for path in self.paths]
        self.places = {name: place for place, name in enumerate(self.ids)}
        self.labels = None if labels is None else self._class_maps(expanded(labels))

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Frame:
        path = self.paths[index]
        objects = self.scenes[path]
        image = read_image(path, upright=self.reader.upright(objects[0]))
        label = np.full(image.shape[-2:], IGNORE, np.uint8)
        if self.labels is not None:
            surroundings = read_label(self.labels[index])
            check_same_size(image, surroundings, path, self.labels[index])
            self._check_ids(surroundings.numpy(), self.labels[index])
            label = surroundings.numpy().copy()
        self._paint(label, objects, self.reader.crowd_regions.get(path, []))
        return Frame(path.stem, image, torch.from_numpy(label))

    def files_of(self, frame_id: str) -> list[Path]:
        """Return the picture, what says which objects it shows, and its class map, if any."""
        place = self.places[frame_id]
        path = self.paths[place]
        surroundings = [self.labels[place]] if self.labels is not None else []
        return [path, *self.reader.files_of(path), *surroundings]

    def record(self) -> dict[str, Any]:
        """Return part, count, folder, and how many objects of which classes are negatives."""
        negatives = Counter(
            one.category for objects in self.scenes.values() for one in objects if _is_foreign(one)
        )
        licences = Counter(objects[0].licence for objects in self.scenes.values())
        known = {number: count for number, count in licences.items() if number is not None}
        return {
            "name": "coco_scenes",
            "split": self.part,
            "count": len(self),
            "root": self.reader.root.resolve().name,
            "surroundings": "ignored" if self.labels is None else "class maps",
            "negatives": dict(sorted(negatives.items())),
            **({"licences": dict(sorted(known.items()))} if known else {}),
        }

    def _outdoors(self) -> dict[Path, list[Entry]]:
        """Return the objects of each outdoor picture that shows something foreign to roads."""
        scenes: dict[Path, list[Entry]] = {}
        for entry in self.reader.entries:
            scenes.setdefault(entry.image, []).append(entry)
        return {
            path: objects
            for path, objects in scenes.items()
            if any(map(_is_foreign, objects))
            and not {one.category for one in objects} & INDOOR
            and not self.reader.crowds.get(path, set()) & INDOOR
        }

    def _class_maps(self, folder: Path) -> list[Path]:
        self._require_own_names()
        found = [folder / f"{name}.png" for name in self.ids]
        missing = [path.stem for path in found if not path.is_file()]
        if missing:
            msg = (
                f"{len(missing)} of {len(found)} pictures have no class map in "
                f"{folder.absolute()}: {shorten(missing)}. Make them: `roadanomaly label "
                "PICTURES --segmenter.name NAME --out FOLDER`."
            )
            raise DataError(msg)
        return found

    def _require_own_names(self) -> None:
        """Refuse pictures that would share a class map.

        Raises:
            DataError: names the first two.
        """
        named: dict[str, Path] = {}
        for path in self.paths:
            other = named.setdefault(path.stem, path)
            if other != path:
                msg = (
                    f"two pictures have the name {path.stem}: {other} and {path}. Class maps go by "
                    "the picture's name without extension: rename one, or leave `labels` out."
                )
                raise DataError(msg)

    def _check_ids(self, label: np.ndarray, path: Path) -> None:
        unknown = np.unique(label[(label >= len(self.classes)) & (label < 252)]).tolist()
        if unknown:
            msg = (
                f"the class map {path} holds the ids {unknown}; allowed are 0 to "
                f"{len(self.classes) - 1} and 252 to 255. Make it by `roadanomaly label` with a "
                "network of the Cityscapes classes."
            )
            raise DataError(msg)

    def _paint(self, label: np.ndarray, objects: Sequence[Entry], crowds: Sequence[Entry]) -> None:
        """Write the objects over the surroundings, the small ones over the large ones."""
        masks = [(one, self._inside(one, label)) for one in objects]
        masks.sort(key=lambda pair: -np.count_nonzero(pair[1]))
        foreign = np.zeros(label.shape, np.uint8)
        for one, mask in [*masks, *((one, self._inside(one, label)) for one in crowds)]:
            foreign |= mask & _is_foreign(one)
        side = 2 * self.rim + 1
        around = cv2.dilate(foreign, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))
        label[around > 0] = IGNORE
        for one, mask in masks:
            label[mask] = _value(one)

    def _inside(self, entry: Entry, label: np.ndarray) -> np.ndarray:
        return self.reader.mask(entry, *label.shape) >= 128


def _is_foreign(entry: Entry) -> bool:
    return entry.category not in ROAD_CLASSES


def _value(entry: Entry) -> int:
    """Return the label of an object's pixels; of what belongs to a road without a class, ignored.

    >>> _value(Entry(Path("a.jpg"), 0, "bus", 0.5)) == CITYSCAPES.index("bus")
    True
    """
    if _is_foreign(entry):
        return NEGATIVE
    return CITYSCAPES.index(KNOWN[entry.category]) if entry.category in KNOWN else IGNORE
