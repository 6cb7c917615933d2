"""SegmentMeIfYouCan: AnomalyTrack and ObstacleTrack, whose test truth is hidden."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from roadanomaly.data.benchmark import BenchmarkSet, Files, id_table, named, pair, pair_numbered
from roadanomaly.data.cards import Card, Split
from roadanomaly.data.handed_round import tops
from roadanomaly.types import IGNORE

_LAYOUT = "images/<id>.{image} (jpg, png and webp are read), labels_masks/<id>_labels_semantic.png"
_CODING = "0 inlier, 1 anomaly, 255 ignore; any other id counts as ignore"
_PAPER = "Chan et al., SegmentMeIfYouCan, NeurIPS 2021 Datasets and Benchmarks"
_LICENCE = "research; unverified: see the terms beside the download"

KINDS: Mapping[str, Mapping[str, int]] = {
    "animals": {
        **{"bear": 1, "camel": 2, "cock": 1, "cow": 14, "deer": 2, "donkey": 2, "elephant": 12},
        **{"goose": 1, "horse": 5, "leopard": 1, "lion": 1, "pig": 2, "rhino": 2, "sheep": 11},
        "zebra": 2,
    },
    "vehicles": {"airplane": 2, "boat_trailer": 5, "caravan": 8, "scooter": 1, "tractor": 6},
    "other": {"coffin": 1, "cones": 7, "hay": 1, "piano": 1, "tent": 1},
}
"""AnomalyTrack's kinds: frames of each object, which are numbered from 0000."""

CARRIAGES = 8
"""Frames of carriages; but for 0001, horses pull them, so that they are of no kind."""

NIGHT, SNOW = frozenset({"driveway"}), frozenset({"snowstorm1", "snowstorm2"})
DAY = frozenset(
    {"curvy-street", "one-way-street", "gravel", "greyasphalt", "motorway", "paving"}
    | {"darkasphalt", "darkasphalt2"}
)
"""Scenes of ObstacleTrack: what an id has before its first `_`."""

LEFT_OUT = tuple(f"validation_{number}" for number in (19, *range(21, 30)))
"""How ids begin that the official validation split leaves out."""


class _Track(BenchmarkSet):
    """What the two tracks share: files and ids."""

    anomaly_table = id_table({0: 0, 1: 1, IGNORE: IGNORE})

    @classmethod
    def scan(cls, root: Path) -> dict[str, Files]:
        """Find the images and the masks."""
        masks = named(root / "labels_masks", "_labels_semantic")
        return pair_numbered(root, cls.card.name) or pair(named(root / "images"), masks)

    @classmethod
    def members(cls, split: str, found: Mapping[str, Files]) -> dict[str, Files]:
        """Choose by the ids alone."""
        return {key: one for key, one in found.items() if one.image and split in cls._splits(key)}

    @classmethod
    @abstractmethod
    def splits_of(cls, frame_id: str) -> frozenset[str]:
        """Return the splits that an id belongs to."""

    @classmethod
    def is_public(cls, frame_id: str) -> bool:
        """Truth is public for the frames of the validation split."""
        return "validation" in cls._splits(frame_id)

    @classmethod
    def _splits(cls, frame_id: str) -> frozenset[str]:
        """Take numbered frames, as they are handed round, for the validation's."""
        numbered = frame_id.isdecimal()
        return frozenset({"all", "validation"}) if numbered else cls.splits_of(frame_id)


class SmiycAnomaly(_Track):
    """SegmentMeIfYouCan AnomalyTrack: strange objects anywhere on photographs of roads.

    Args:
        split: `validation` (10 frames, the only ones with public truth), `test` (100), `all`
            (110), or of the test `animals`, `vehicles`, `other`; None takes `validation`.
        root: folder that holds `dataset_AnomalyTrack/` or is it.
    """

    card: ClassVar[Card] = Card(
        name="smiyc-anomaly",
        source=f"SegmentMeIfYouCan AnomalyTrack (RoadAnomaly21), 100 + 10 frames; {_PAPER}",
        licence=_LICENCE,
        where="https://zenodo.org/record/5270237 (dataset_AnomalyTrack.zip, md5 "
        "231bf79ed58924bcd33d9cbe22e61076); segmentmeifyoucan.com/datasets",
        layout=_LAYOUT.format(image="jpg"),
        coding=_CODING,
        tops=("dataset_AnomalyTrack", *tops("smiyc-anomaly")),
        markers=("images",),
        splits={
            "all": Split(110, False, "every frame"),
            "test": Split(100, False, "ids that do not begin with `validation`"),
            "validation": Split(10, True, "validation0000 to validation0009"),
            "animals": Split(59, False, "of the test, by the object in the id"),
            "vehicles": Split(23, False, "of the test, carriage0001 among them"),
            "other": Split(11, False, "of the test, by the object in the id"),
        },
        default="validation",
        ids=frozenset({0, 1, IGNORE}),
        sums=(
            "110 = 100 test (truth hidden) + 10 validation (truth public)",
            "100 test = 59 animals + 23 vehicles + 11 other + 7 carriages with horses (no kind)",
        ),
        totals={
            100: "only the test; the official tool asks for all 110 images even then",
            10: "only the validation frames; the same archive holds the 100 test images",
            110: "the whole track",
        },
        unverified=("the licence",),
    )

    @classmethod
    def splits_of(cls, frame_id: str) -> frozenset[str]:
        """Return the splits that an id belongs to; none for ids of another set."""
        numbered = re.fullmatch(r"([a-z_]+)\d{4}", frame_id)
        if not numbered or frame_id.split("_")[0] in DAY | SNOW | NIGHT:
            return frozenset()
        subject = numbered[1]
        if subject == "validation":
            return frozenset({"all", "validation"})
        kinds = {kind for kind, subjects in KINDS.items() if subject in subjects}
        if frame_id == "carriage0001":
            kinds = {"vehicles"}
        return frozenset({"all", "test"} | kinds)

    @classmethod
    def official(cls, split: str) -> frozenset[str] | None:
        """Return the published ids of any split."""
        numbers = {name: count for kind in KINDS.values() for name, count in kind.items()}
        numbers |= {"carriage": CARRIAGES, "validation": 10}
        every = (f"{name}{i:04d}" for name, count in numbers.items() for i in range(count))
        return frozenset(key for key in every if split in cls.splits_of(key))


class SmiycObstacle(_Track):
    """SegmentMeIfYouCan ObstacleTrack: small obstacles on the road, in many lights and weathers.

    Args:
        split: `validation` (30 frames, the only ones with public truth), `test` (327),
            `snowstorm` (55), `night` (30), `noNight` (382) or `all` (442); None takes
            `validation`.
        root: folder that holds `dataset_ObstacleTrack/` or is it.
    """

    card: ClassVar[Card] = Card(
        name="smiyc-obstacle",
        source=f"SegmentMeIfYouCan ObstacleTrack (RoadObstacle21), 442 frames; {_PAPER}",
        licence=_LICENCE,
        where="https://zenodo.org/record/5281633 (dataset_ObstacleTrack.zip, md5 "
        "895fb36d18765482cc291f69e63d6da6); segmentmeifyoucan.com/datasets",
        layout=_LAYOUT.format(image="webp"),
        coding=_CODING.replace("inlier", "road"),
        tops=("dataset_ObstacleTrack", *tops("smiyc-obstacle")),
        markers=("images",),
        splits={
            "all": Split(442, False, "every known scene"),
            "test": Split(327, False, "the eight scenes by day"),
            "validation": Split(30, True, "scene validation without 19 and 21 to 29"),
            "snowstorm": Split(55, False, "scenes snowstorm1 and snowstorm2"),
            "night": Split(30, False, "scene driveway"),
            "noNight": Split(382, False, "test and snowstorm"),
        },
        default="validation",
        ids=frozenset({0, 1, IGNORE}),
        sums=(
            "442 = 327 test + 55 snowstorm + 30 night + 30 validation (truth public for these)",
            "382 noNight = 327 test + 55 snowstorm; the official tool also counts the validation "
            "frames there when they are on disk, and then refuses its own 382",
        ),
        totals={
            442: "the whole download",
            412: "442 without the 30 validation frames: the frames that OoDIS takes",
            327: "only the test by day",
            382: "test and snowstorm",
            30: "only the validation frames, or only the night",
            452: "442 and the ten validation frames that the official split leaves out (19, 21 "
            "to 29), which an older archive had",
        },
        unverified=("the licence", "that the ten left-out frames were in an older archive"),
    )

    @classmethod
    def splits_of(cls, frame_id: str) -> frozenset[str]:
        """Return the splits that an id belongs to; none for unknown scenes."""
        scene = frame_id.split("_")[0]
        if scene == "validation":
            left_out = frame_id.startswith(LEFT_OUT)
            return frozenset({"all"} if left_out else {"all", "validation"})
        if scene in NIGHT:
            return frozenset({"all", "night"})
        if scene in SNOW:
            return frozenset({"all", "snowstorm", "noNight"})
        return frozenset({"all", "test", "noNight"} if scene in DAY else ())
