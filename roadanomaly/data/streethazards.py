"""StreetHazards: driving in CARLA, with strange objects in the two towns of its test."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from roadanomaly.data.benchmark import BenchmarkSet, Files, id_table, named, pair
from roadanomaly.data.cards import Card, Split
from roadanomaly.types import NEGATIVE

CLASSES: tuple[str, ...] = (
    "unlabeled",
    "building",
    "fence",
    "pedestrian",
    "pole",
    "road line",
    "road",
    "sidewalk",
    "vegetation",
    "car",
    "wall",
    "traffic sign",
)
"""The 12 known classes; the files' class `other` (4) is ignored."""

ANOMALY = 14
_KNOWN = {stored: i for i, stored in enumerate(id_ for id_ in range(1, ANOMALY) if id_ != 4)}
_PARTS = {"train": "training", "val": "validation", "test": "test"}
_TOWNS = ("t5", "t6")


class StreetHazards(BenchmarkSet):
    """StreetHazards, 1280×720: 12 known classes, and anomalies in the towns t5 and t6.

    Ids are `<town>_<file>`, those of train and val with the part before them. As DenseHybrid's
    code has it, the class `other` is ignored; the set's first authors count it as inlier.

    Args:
        split: `test` (1500 frames), its towns `t5` or `t6`, `train` (5125) or `val` (1031); None
            takes `test`.
        root: folder that holds `train/` and `test/` as the archives unpack (also
            `streethazards_train/train/`, `streethazards_test/test/`).
    """

    classes = CLASSES
    card: ClassVar[Card] = Card(
        name="streethazards",
        source="StreetHazards, 5125 + 1031 + 1500 rendered frames of 1280×720; Hendrycks et al., "
        "Scaling Out-of-Distribution Detection for Real-World Settings, ICML 2022",
        licence="unverified: see github.com/hendrycks/anomaly-seg",
        where="https://people.eecs.berkeley.edu/~hendrycks/streethazards_test.tar and "
        "streethazards_train.tar there",
        layout="test/images/test/<t5|t6>/*.png, test/annotations/test/<t5|t6>/*.png, "
        "train/images/<training|validation>/<town>/*.png with train/annotations/ alike",
        coding="1 unlabeled, 2 building, 3 fence, 4 other (ignored), 5 pedestrian, 6 pole, "
        "7 road line, 8 road, 9 sidewalk, 10 vegetation, 11 car, 12 wall, 13 traffic sign, "
        "14 anomaly",
        tops=("streethazards", "StreetHazards"),
        markers=(
            "test/images",
            "train/images",
            "streethazards_test/test/images",
            "streethazards_train/train/images",
        ),
        splits={
            "train": Split(5125, True, "train/images/training"),
            "val": Split(1031, True, "train/images/validation"),
            "test": Split(1500, True, "test/images/test"),
            "t5": Split(None, True, "of the test, town t5"),
            "t6": Split(None, True, "of the test, town t6"),
        },
        default="test",
        ids=frozenset(range(1, ANOMALY + 1)),
        size=(1280, 720),
        sums=("1500 test = t5 + t6; 5125 train and 1031 val show no anomaly",),
        totals={7656: "the whole set: 5125 + 1031 + 1500", 1500: "only the test archive"},
        unverified=(
            "frames of t5 and of t6",
            "the licence",
            "the counts 5125, 1031 and 1500 (third parties state them)",
        ),
    )
    anomaly_table = id_table({**dict.fromkeys(_KNOWN, 0), ANOMALY: 1})
    label_table = id_table({**_KNOWN, ANOMALY: NEGATIVE})

    @classmethod
    def scan(cls, root: Path) -> dict[str, Files]:
        """Find the frames of the three parts."""
        found: dict[str, Files] = {}
        for part, folder in _PARTS.items():
            archive = "test" if part == "test" else "train"
            for base in (root / archive, root / f"streethazards_{archive}" / archive):
                images = named(base / "images" / folder, join=True)
                labels = named(base / "annotations" / folder, join=True)
                ahead = "" if part == "test" else part + "_"
                for key, one in pair(images, labels, part).items():
                    found.setdefault(ahead + key, one)
        return found

    @classmethod
    def members(cls, split: str, found: Mapping[str, Files]) -> dict[str, Files]:
        """Take a part, or a town of the test."""
        part = "test" if split in _TOWNS else split
        return {
            key: one
            for key, one in found.items()
            if one.image
            and one.part == part
            and (split not in _TOWNS or key.startswith(split + "_"))
        }
