"""LostAndFound: small lost cargo on German roads, with the benchmark's two sets of exclusions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from roadanomaly.data.benchmark import BenchmarkSet, Files, id_table, named, pair
from roadanomaly.data.cards import Card, Split
from roadanomaly.data.images import read_label
from roadanomaly.errors import DataError

PARTS = {"train": 1036, "test": 1203}
"""Folders of the set, and the frames of each."""

UNLABELLED = {
    "train": (44, 67, 88, 109, 131, 614),
    "test": (17, 37, 55, 72, 91, 110, 129, 153, 174, 197, 218, 353, 490, 618, 686, 792, 793),
}
"""Places of the frames whose label is 0 everywhere, in the whole part sorted by id, from 0."""

KNOWN_OBJECTS = (
    "15_Rechbergstr_Deckenpfronn",
    "01_Hanns_Klemm_Str_45_000006",
    "01_Hanns_Klemm_Str_45_000007",
    "10_Schlossberg_9_000004",
)
"""How ids begin of frames that show children (the first) or bicycles (all three of train)."""

_ID = re.compile(r"\d{2}_.+_\d{6}_\d{6}")

LOST_AND_FOUND = Card(
    name="laf",
    source="LostAndFound, 1036 train + 1203 test frames of 2048×1024; Pinggera et al., IROS 2016",
    licence="Daimler's terms: non-commercial research",
    where="http://www.dhbw-stuttgart.de/~sgehrig/lostAndFoundDataset/ "
    "(leftImg8bit.zip, md5 08eaa79ce05126f6bd22a3ca563746d0, and gtCoarse.zip)",
    layout="leftImg8bit/<train|test>/<scene>/<id>_leftImg8bit.png (png, webp, jpg), "
    "gtCoarse/<train|test>/<scene>/<id>_gtCoarse_labelIds.png",
    coding="1 road (inlier), 2 to 200 anomaly, everything else (0) ignore",
    tops=("dataset_LostAndFound", "lost_and_found", "lostandfound", "LostAndFound"),
    markers=("leftImg8bit/test", "leftImg8bit/train"),
    splits={
        "test": Split(1203, True, "the test folder"),
        "testValid": Split(1186, True, "test without the 17 frames that have no label"),
        "testNoKnown": Split(1043, True, "testValid without children and bicycles"),
        "train": Split(1036, True, "the train folder"),
        "trainValid": Split(1030, True, "train without the 6 frames that have no label"),
    },
    default="test",
    ids=frozenset(range(201)) | {255},
    size=(2048, 1024),
    sums=(
        "1203 test - 17 unlabelled = 1186 testValid; - 143 labelled frames of scene 15 (children) "
        "= 1043 testNoKnown",
        "the three bicycle prefixes of the official rule lie in train, so they drop nothing of "
        "the test",
    ),
    totals={2239: "the whole set: 1036 + 1203"},
    unverified=(
        "ids of the 17 unlabelled frames: the official tool lists their places in the whole "
        "sorted test; of an incomplete test those are dropped whose label is 0 everywhere",
    ),
)


class LostAndFound(BenchmarkSet):
    """LostAndFound on its road area, with coarse labels.

    Args:
        split: `test` (1203 frames), `testValid` (1186), `testNoKnown` (1043), `train` (1036) or
            `trainValid` (1030); None takes `test`.
        root: folder that holds `dataset_LostAndFound/` or is it: `leftImg8bit/`, `gtCoarse/`.
    """

    card: ClassVar[Card] = LOST_AND_FOUND
    anomaly_table = id_table({1: 0, **dict.fromkeys(range(2, 201), 1)})

    @classmethod
    def scan(cls, root: Path) -> dict[str, Files]:
        """Find images and labels of both parts."""
        found: dict[str, Files] = {}
        for part in PARTS:
            images = named(root / "leftImg8bit" / part, "_leftImg8bit")
            labels = named(root / "gtCoarse" / part, "_gtCoarse_labelIds")
            found |= pair(images, labels, part)
        return found

    @classmethod
    def strangers(cls, found: Mapping[str, Files]) -> set[str]:
        """Return ids that are not formed as LostAndFound's are, Cityscapes' for instance."""
        return {key for key in found if not _ID.fullmatch(key)}

    @classmethod
    def members(cls, split: str, found: Mapping[str, Files]) -> dict[str, Files]:
        """Take a part, less what the split leaves out."""
        part = "train" if split.startswith("train") else "test"
        strange = cls.strangers(found)
        kept = {
            key: one
            for key, one in found.items()
            if one.part == part and one.image and key not in strange
        }
        if split != part:
            empty = unlabelled(part, kept)
            kept = {key: one for key, one in kept.items() if key not in empty}
        if split == "testNoKnown":
            kept = {key: one for key, one in kept.items() if not key.startswith(KNOWN_OBJECTS)}
        return kept


class LostAndFoundNoKnown(LostAndFound):
    """LostAndFound as SegmentMeIfYouCan ranks it: no unlabelled frames, children or bicycles.

    Args:
        split: `testNoKnown` (1043 frames), the only one.
        root: folder that holds `dataset_LostAndFound/` or is it: `leftImg8bit/`, `gtCoarse/`.
    """

    card: ClassVar[Card] = replace(
        LOST_AND_FOUND,
        name="laf-noknown",
        splits={"testNoKnown": LOST_AND_FOUND.splits["testNoKnown"]},
        default="testNoKnown",
    )


def unlabelled(part: str, files: Mapping[str, Files]) -> set[str]:
    """Return the frames of a part that carry no label.

    Args:
        part: `train` or `test`.
        files: of that part; of the whole part the official places are taken, of fewer frames
            those whose label file holds nothing but 0.
    """
    ids = sorted(files)
    if len(ids) == PARTS[part]:
        return {ids[place] for place in UNLABELLED[part]}
    return {key for key, one in files.items() if one.label and _is_empty(one.label)}


def _is_empty(label: Path) -> bool:
    """Say whether a label is 0 everywhere; a broken one is not, so that reading its frame tells."""
    try:
        return not bool(read_label(label).any())
    except DataError:
        return False
