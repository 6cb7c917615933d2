"""ISSU: Indian roads with known classes and anomalies labelled together."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from roadanomaly.data.benchmark import BenchmarkSet, Files, id_table, named, pair
from roadanomaly.data.cards import Card, Split
from roadanomaly.data.class_names import CITYSCAPES
from roadanomaly.types import IGNORE, NEGATIVE

_INLIERS = {"anomaly": range(len(CITYSCAPES)), "obstacle": range(1)}
TABLES = {
    track: id_table({**dict.fromkeys(inliers, 0), NEGATIVE: 1})
    for track, inliers in _INLIERS.items()
}
"""Stored id to truth, by track; on the obstacle track all but road and anomaly is ignored."""


class Issu(BenchmarkSet):
    """ISSU's two test sets, as its benchmark code joins them in one folder.

    Ids begin with `static_` or `temporal_`. Labels are Cityscapes train ids with 254 for anomaly.

    Args:
        split: `all` (2118 frames), `static` (980) or `temporal` (1138); None takes `all`.
        root: folder that holds `dataset_ISSUTrack/` or is it: `images/`, `labels_masks/`.
        track: `anomaly` judges all 19 classes, `obstacle` only the road.
    """

    classes = CITYSCAPES
    card: ClassVar[Card] = Card(
        name="issu",
        source="ISSU, 980 static + 1138 temporal test frames; Laskar et al., A Dataset for "
        "Semantic Segmentation in the Presence of Unknowns, CVPR 2025",
        licence="IDD's terms; its images may not be passed on",
        where="github.com/vojirt/benchmark_issu (benchmark/datasets/scripts/DOWNLOAD.md): IDD "
        "images, ISSU labels, and the two scripts that put them together",
        layout="images/<id>.png, labels_masks/<id>.png",
        coding="Cityscapes train ids 0 to 18 inlier (obstacle track: only 0), 254 anomaly, "
        "255 ignore",
        tops=("dataset_ISSUTrack", "dataset_IDDTrack"),
        markers=("images",),
        splits={
            "all": Split(2118, True, "static and temporal"),
            "static": Split(980, True, "ids that begin with static_"),
            "temporal": Split(1138, True, "ids that begin with temporal_"),
        },
        default="all",
        ids=frozenset({*range(len(CITYSCAPES)), NEGATIVE, IGNORE}),
        sums=("2118 = 980 static + 1138 temporal",),
        totals={2118: "both tests", 980: "only the static test", 1138: "only the temporal test"},
        unverified=("image sizes", "the training part and the lighting variants are not read"),
    )
    words: ClassVar[Mapping[str, tuple[str, ...]]] = {"track": tuple(TABLES)}
    track: str = "anomaly"
    label_table = id_table({**{i: i for i in range(len(CITYSCAPES))}, NEGATIVE: NEGATIVE})

    def __init__(
        self,
        split: str | None = None,
        root: str | Path | None = None,
        track: Literal["anomaly", "obstacle"] = "anomaly",
    ) -> None:
        self.track = track
        super().__init__(split, root)

    @property
    def anomaly_table(self) -> np.ndarray:  # type: ignore[override]
        """256 uint8, label id to truth on the track."""
        return TABLES[self.track]

    @classmethod
    def scan(cls, root: Path) -> dict[str, Files]:
        """Find images and labels, which have the same names."""
        return pair(named(root / "images"), named(root / "labels_masks"))

    @classmethod
    def members(cls, split: str, found: Mapping[str, Files]) -> dict[str, Files]:
        """Choose by what the id begins with."""
        begins = ("static_", "temporal_") if split == "all" else f"{split}_"
        return {key: one for key, one in found.items() if one.image and key.startswith(begins)}
