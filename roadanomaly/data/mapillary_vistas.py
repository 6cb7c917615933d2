"""Mapillary Vistas: streets of six continents; its `config.json` says what each id means."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

from roadanomaly.data.benchmark import Files, named, pair
from roadanomaly.data.cards import Card, Split
from roadanomaly.data.class_maps import table
from roadanomaly.data.class_names import CITYSCAPES
from roadanomaly.data.labelled import Coding, LabelledSet, hide
from roadanomaly.errors import DataError
from roadanomaly.types import IGNORE

TO_CITYSCAPES: dict[str, str] = {
    "construction--barrier--curb": "sidewalk",
    "construction--barrier--fence": "fence",
    "construction--barrier--guard-rail": "fence",
    "construction--barrier--wall": "wall",
    "construction--flat--bike-lane": "road",
    "construction--flat--crosswalk-plain": "road",
    "construction--flat--curb-cut": "sidewalk",
    "construction--flat--parking": "road",
    "construction--flat--parking-aisle": "road",
    "construction--flat--pedestrian-area": "sidewalk",
    "construction--flat--rail-track": "road",
    "construction--flat--road": "road",
    "construction--flat--road-shoulder": "road",
    "construction--flat--service-lane": "road",
    "construction--flat--sidewalk": "sidewalk",
    "construction--flat--traffic-island": "sidewalk",
    "construction--structure": "building",
    "human--person": "person",
    "human--rider": "rider",
    "marking": "road",
    "marking-only": "road",
    "nature--sand": "terrain",
    "nature--sky": "sky",
    "nature--snow": "terrain",
    "nature--terrain": "terrain",
    "nature--vegetation": "vegetation",
    "object--support--pole": "pole",
    "object--support--traffic-sign-frame": "traffic sign",
    "object--support--utility-pole": "pole",
    "object--traffic-light": "traffic light",
    "object--traffic-sign--direction-front": "traffic sign",
    "object--traffic-sign--front": "traffic sign",
    "object--traffic-sign--information-parking": "traffic sign",
    "object--traffic-sign--temporary-front": "traffic sign",
    "object--vehicle--bicycle": "bicycle",
    "object--vehicle--bus": "bus",
    "object--vehicle--car": "car",
    "object--vehicle--motorcycle": "motorcycle",
    "object--vehicle--on-rails": "train",
    "object--vehicle--truck": "truck",
}
"""A class, or a branch of classes whose names begin so, to Cityscapes' class.

For version 1.2 this is the map with which EAM's and UNO's networks were trained; the names that
version 2.0 alone has are ours.
"""


def train_id(name: str) -> int:
    """Return the Cityscapes train id of a class of either version, or `IGNORE`.

    >>> CITYSCAPES[train_id("marking--discrete--arrow--left")]
    'road'
    """
    while name:
        if name in TO_CITYSCAPES:
            return CITYSCAPES.index(TO_CITYSCAPES[name])
        name = name.rpartition("--")[0]
    return IGNORE


@lru_cache
def read_coding(path: Path) -> Coding:
    """Read what each id means: a class's place in the file's list `labels`.

    Raises:
        DataError: the file is missing, broken, or names no classes.
    """
    try:
        labels = json.loads(path.read_text(encoding="utf-8"))["labels"]
        names = [str(label["name"]) for label in labels]
        if not 0 < len(names) < IGNORE:
            raise ValueError(f"{len(names)} classes")
    except (OSError, ValueError, KeyError, TypeError) as error:
        msg = (
            f"{path} should list the classes of Mapillary Vistas (`labels`, each with its `name`), "
            f"in the order of the ids, but: {error!r}. It lies in the set's archive: unpack it."
        )
        raise DataError(msg) from error
    targets = {index: train_id(name) for index, name in enumerate(names)}
    void = (i for i, name in enumerate(names) if not name.startswith("void--"))
    return Coding(table(targets), tuple(i for i in void if targets[i] == IGNORE))


class MapillaryVistas(LabelledSet):
    """Mapillary Vistas with the 66 classes of version 1.2, from either archive.

    The first archive keeps the labels in `<split>/labels/` and the classes in `config.json`; that
    of version 2.0 keeps them in `<split>/v1.2/labels/` and `config_v1.2.json`. Ids of the test have
    `test_` before them.

    Args:
        split: `training` (18,000 frames), `validation` (2000) or `testing` (5000, labels hidden);
            None takes `training`.
        root: folder that holds `mapillary-vistas/` or is it.
        void: what classes that Cityscapes does not have become: `ignore`, or `label`, the label
            `VOID`; the own car and what is unlabelled stay ignored.
    """

    folders: ClassVar[tuple[str, ...]] = ("v1.2/labels", "labels")
    configs: ClassVar[tuple[str, ...]] = ("config_v1.2.json", "config.json")
    card: ClassVar[Card] = Card(
        name="mapillary-vistas",
        source="Mapillary Vistas 1.2, 18000 + 2000 + 5000 frames of many sizes, 66 classes; "
        "Neuhold et al., The Mapillary Vistas Dataset for Semantic Understanding of Street Scenes, "
        "ICCV 2017",
        licence="Mapillary's research terms (images CC BY-NC-SA 4.0); registration needed",
        where="mapillary.com/dataset/vistas",
        layout="<training|validation|testing>/images/*.jpg, <training|validation>/labels/*.png "
        "with config.json, or <training|validation>/v1.2/labels/*.png with config_v1.2.json",
        coding="a class's place in the list `labels` of config.json, from 0 to 65",
        tops=(
            "mapillary-vistas",
            "mapillary_vistas",
            "mapillary",
            "vistas",
            "mapillary-vistas-dataset_public_v1.1",
            "mapillary-vistas-dataset_public_v2.0",
        ),
        markers=(
            "training/v1.2/labels",
            "validation/v1.2/labels",
            "training/labels",
            "validation/labels",
        ),
        splits={
            "training": Split(18000, True, "the folder training"),
            "validation": Split(2000, True, "the folder validation"),
            "testing": Split(5000, False, "the folder testing"),
        },
        default="training",
        ids=frozenset(range(66)),
        sums=("25000 = 18000 training + 2000 validation + 5000 testing (labels hidden)",),
        totals={25000: "the whole set", 20000: "without the test"},
    )

    @classmethod
    def scan(cls, root: Path) -> dict[str, Files]:
        """Find the frames of the three folders."""
        found: dict[str, Files] = {}
        for part in cls.card.splits:
            places = (root / part / folder for folder in cls.folders)
            labels = next((place for place in places if place.is_dir()), root / part / "labels")
            ids = pair(named(root / part / "images"), named(labels), part)
            found |= hide(ids) if part == "testing" else ids
        return found

    @classmethod
    def version(cls, root: Path) -> str:
        """Say where the classes are read."""
        return f"classes by {cls.config(root).name}"

    @classmethod
    def config(cls, root: Path) -> Path:
        """Return the file that lists the classes, there or not."""
        places = [root / name for name in cls.configs]
        return next((place for place in places if place.is_file()), places[0])

    def coding(self, label: Path) -> Coding:
        """Return what the set's `config.json` says."""
        return read_coding(self.config(self.root))


class MapillaryVistas2(MapillaryVistas):
    """Mapillary Vistas with the 124 classes of version 2.0; the images are those of 1.2.

    Args:
        split: `training` (18,000 frames), `validation` (2000) or `testing` (5000, labels hidden);
            None takes `training`.
        root: folder that holds `mapillary-vistas/` or is it.
        void: what classes that Cityscapes does not have become: `ignore`, or `label`, the label
            `VOID`; the own car and what is unlabelled stay ignored.
    """

    folders = ("v2.0/labels",)
    configs = ("config_v2.0.json",)
    card: ClassVar[Card] = Card(
        name="mapillary-vistas-v2",
        source="Mapillary Vistas 2.0, 18000 + 2000 + 5000 frames of many sizes, 124 classes; "
        "Neuhold et al., The Mapillary Vistas Dataset for Semantic Understanding of Street Scenes, "
        "ICCV 2017",
        licence=MapillaryVistas.card.licence,
        where=MapillaryVistas.card.where,
        layout="<training|validation|testing>/images/*.jpg, <training|validation>/v2.0/labels/"
        "*.png, config_v2.0.json",
        coding="a class's place in the list `labels` of config_v2.0.json, from 0 to 123",
        tops=MapillaryVistas.card.tops,
        markers=("training/v2.0/labels", "validation/v2.0/labels"),
        splits=MapillaryVistas.card.splits,
        default="training",
        ids=frozenset(range(124)),
        sums=MapillaryVistas.card.sums,
        totals=MapillaryVistas.card.totals,
    )
