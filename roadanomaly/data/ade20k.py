"""ADE20K's scene parsing set: all kinds of places, of whose 150 classes some are Cityscapes'."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from roadanomaly.data.benchmark import Files, named, pair
from roadanomaly.data.cards import Card, Split
from roadanomaly.data.class_maps import table
from roadanomaly.data.class_names import CITYSCAPES
from roadanomaly.data.labelled import Coding, LabelledSet
from roadanomaly.types import IGNORE

CLASSES = 150
"""Ids 1 to 150 are classes; 0 is what none of them is."""

TO_CITYSCAPES: dict[int, str] = {
    2: "building",
    3: "sky",
    5: "vegetation",
    7: "road",
    10: "terrain",
    12: "sidewalk",
    13: "person",
    14: "terrain",
    18: "vegetation",
    21: "car",
    26: "building",
    30: "terrain",
    33: "fence",
    49: "building",
    73: "vegetation",
    81: "bus",
    84: "truck",
    94: "pole",
    103: "car",
    117: "motorcycle",
    128: "bicycle",
    137: "traffic light",
}
"""Stored ids of building, sky, tree, road, grass, sidewalk, person, earth, plant, car, house,
field, fence, skyscraper, palm, bus, truck, pole, van, minibike, bicycle, traffic light.

Not mapped although the word is Cityscapes' own: wall (1), which is mostly a room's. Signboards (44)
are mostly advertisements.
"""

_IDS = range(1, CLASSES + 1)
_NAMED = {stored: CITYSCAPES.index(name) for stored, name in TO_CITYSCAPES.items()}
CODING = Coding(
    table({0: IGNORE, **dict.fromkeys(_IDS, IGNORE), **_NAMED}),
    tuple(stored for stored in _IDS if stored not in TO_CITYSCAPES),
)
"""A file's ids: a class's place in the published list of 150, counted from 1."""


class Ade20k(LabelledSet):
    """ADE20K as the scene parsing challenge gives it: rooms, landscapes, streets.

    Its objects as negatives are read by `paste` from the same folder. The full release of ADE20K
    is not read: its 3,000 names lie in a pickle, which is a program, not data.

    Args:
        split: `training` (20,210 frames) or `validation` (2000); None takes `training`.
        root: folder that holds `ADEChallengeData2016/` or is it: `images/`, `annotations/`.
        void: what classes that Cityscapes does not have become: `ignore`, or `label`, the label
            `VOID`.
    """

    card: ClassVar[Card] = Card(
        name="ade20k",
        source="ADE20K, scene parsing challenge 2016, 20210 + 2000 frames of many sizes; Zhou et "
        "al., Scene Parsing through ADE20K Dataset, CVPR 2017, arXiv 1608.05442",
        licence="annotations BSD 3-clause; images: non-commercial research and education",
        where="data.csail.mit.edu/places/ADEchallenge/ADEChallengeData2016.zip",
        layout="images/<training|validation>/*.jpg, annotations/<training|validation>/*.png",
        coding="0 none of the classes, 1 to 150 the classes in the order of objectInfo150.txt",
        tops=("ADEChallengeData2016", "ade20k/ADEChallengeData2016", "ade20k", "ADE20K"),
        markers=("annotations/training", "annotations/validation"),
        splits={
            "training": Split(20210, True, "images/training"),
            "validation": Split(2000, True, "images/validation"),
        },
        default="training",
        ids=frozenset(range(CLASSES + 1)),
        sums=("22210 = 20210 training + 2000 validation",),
        totals={22210: "the whole set, without the hidden test"},
    )

    @classmethod
    def scan(cls, root: Path) -> dict[str, Files]:
        """Find the frames of both folders."""
        found: dict[str, Files] = {}
        for part in cls.card.splits:
            images = named(root / "images" / part)
            found |= pair(images, named(root / "annotations" / part), part)
        return found

    def coding(self, label: Path) -> Coding:
        """Return the one coding."""
        return CODING
