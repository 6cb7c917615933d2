"""OoDIS: instances of anomalies on the frames of LostAndFound and of SegmentMeIfYouCan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
import torch
from torch import Tensor

from roadanomaly.data.benchmark import BenchmarkSet, Files, named
from roadanomaly.data.cards import Split
from roadanomaly.data.lost_and_found import LOST_AND_FOUND, PARTS, LostAndFound
from roadanomaly.data.smiyc import SmiycAnomaly, SmiycObstacle
from roadanomaly.errors import DataError

FIRST_INSTANCE = 1000
"""Ids of a ground-truth instance map from here on are instances."""

_PAPER = "OoDIS (Nekrasov et al., ICRA 2025)"
_SERVER = "scored by the benchmark: vision.rwth-aachen.de/oodis"


class OodisFishyscapes(LostAndFound):
    """OoDIS on all of LostAndFound, its track `fishyscapes`.

    `instances` reads the instance map of a frame, from `fs_lost_found_instance/gtCoarse/` in the
    top folder where that is, else from LostAndFound's own `gtCoarse/`.

    Args:
        split: `all` (2239 frames), `train` (1036) or `test` (1203); None takes `all`.
        root: folder that holds `dataset_LostAndFound/` or is it: `leftImg8bit/`, `gtCoarse/`.
    """

    card = replace(
        LOST_AND_FOUND,
        name="oodis-fishyscapes",
        source=f"{_PAPER}, track fishyscapes: all 2239 frames of LostAndFound",
        splits={"all": Split(2239, True, "train and test")}
        | {part: LOST_AND_FOUND.splits[part] for part in PARTS},
        default="all",
        where=f"{LOST_AND_FOUND.where}; instances: "
        "omnomnom.vision.rwth-aachen.de/data/ugains/fs_lost_found_instance.zip",
        sums=("2239 = 1036 train + 1203 test of LostAndFound",),
        unverified=("whether the server scores with the instance maps that are public",),
    )

    @classmethod
    def members(cls, split: str, found: Mapping[str, Files]) -> dict[str, Files]:
        """Take one part or both."""
        if split == "all":
            return cls.members("train", found) | cls.members("test", found)
        return super().members(split, found)

    def instances(self, frame_id: str) -> Tensor | None:
        """Read a frame's instance map, `(H, W)` int32; ids from 1000 on are instances.

        Returns:
            None where no instance map of the frame is on disk.

        Raises:
            DataError: the file is no image of one channel.
        """
        path = self._instance_maps.get(frame_id)
        return None if path is None else read_instances(path)

    def files_of(self, frame_id: str) -> list[Path]:
        """Return image, label, and the instance map where there is one."""
        path = self._instance_maps.get(frame_id)
        return [*super().files_of(frame_id), *([path] if path else [])]

    @cached_property
    def _instance_maps(self) -> dict[str, Path]:
        found: dict[str, Path] = {}
        for top in ("gtCoarse", "fs_lost_found_instance/gtCoarse"):
            found |= named(self.root / top, "_gtCoarse_instanceIds")
        return found

    @staticmethod
    def prediction_file(frame_id: str) -> str:
        """Return the name of the frame's text file in a submission."""
        return f"{frame_id}_gtCoarse_instanceIds_pred.txt"


class _HiddenTrack(BenchmarkSet):
    """A track on the frames of another set, whose truth only the server has."""

    frames_of: ClassVar[type[BenchmarkSet]]

    @classmethod
    def strangers(cls, found: Mapping[str, Files]) -> set[str]:
        """Return the ids that are none of the other set's."""
        return cls.frames_of.strangers(found)

    @staticmethod
    def prediction_file(frame_id: str) -> str:
        """Return the name of the frame's text file in a submission."""
        return f"{frame_id}_instanceIds_pred.txt"


class OodisRoadAnomaly(_HiddenTrack, SmiycAnomaly):
    """OoDIS on AnomalyTrack's test, its track `roadanomaly`; the truth is hidden.

    Args:
        split: `test` (100 frames), the only one.
        root: folder that holds `dataset_AnomalyTrack/` or is it.
    """

    frames_of = SmiycAnomaly
    card: ClassVar = replace(
        SmiycAnomaly.card,
        name="oodis-roadanomaly",
        source=f"{_PAPER}, track roadanomaly: the 100 test frames of AnomalyTrack; {_SERVER}",
        splits={"test": SmiycAnomaly.card.splits["test"]},
        default="test",
        sums=("100 = 110 of the track - 10 validation",),
    )


class OodisRoadObstacle(_HiddenTrack, SmiycObstacle):
    """OoDIS on ObstacleTrack without its validation, its track `roadobstacle`; truth hidden.

    Args:
        split: `test` (412 frames), the only one.
        root: folder that holds `dataset_ObstacleTrack/` or is it.
    """

    frames_of = SmiycObstacle
    card: ClassVar = replace(
        SmiycObstacle.card,
        name="oodis-roadobstacle",
        source=f"{_PAPER}, track roadobstacle: 412 frames of ObstacleTrack; {_SERVER}",
        splits={"test": Split(412, False, "test, snowstorm and night of ObstacleTrack")},
        default="test",
        sums=("412 = 442 - 30 validation = 327 test + 55 snowstorm + 30 night",),
    )

    @classmethod
    def members(cls, split: str, found: Mapping[str, Files]) -> dict[str, Files]:
        """Take every scene but the validation."""
        whole = SmiycObstacle.members("all", found)
        return {key: one for key, one in whole.items() if not cls.is_public(key)}


def read_instances(path: Path) -> Tensor:
    """Read an instance map of 8 or 16 bits as `(H, W)` int32.

    Raises:
        DataError: the file is missing, damaged or has several channels.
    """
    try:
        data = np.frombuffer(path.read_bytes(), np.uint8)
        values = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    except (OSError, cv2.error):
        values = None
    if values is None or values.ndim != 2:
        msg = f"{path} is no instance map (an image of one channel); download it again."
        raise DataError(msg)
    return torch.from_numpy(values.astype(np.int32))
