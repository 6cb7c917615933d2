"""SegmentMeIfYouCan: half-precision HDF5 maps in the folders of the official tool."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from roadanomaly.data.benchmark import BenchmarkSet
from roadanomaly.errors import DataError
from roadanomaly.evaluation.submission.base import Submission, Track, TrackWriter
from roadanomaly.evaluation.submission.proof import PixelProof, public_truth
from roadanomaly.scores.doubts import ScoreDoubts
from roadanomaly.scores.folder import OFFICIAL
from roadanomaly.scores.ranking import HalfMap, RankSketch
from roadanomaly.scores.write import verify_map, write_hdf5

_SEND = (
    "https://segmentmeifyoucan.com/submit; its maintainers run the official tool on these files "
    "and on the hidden truth"
)


class Hdf5Writer(TrackWriter):
    """Maps all scores of a track to half precision by one monotone map, a file a frame.

    Args:
        track: which one.
        frames: its frames.
        folder: `anomaly_p/<method>/<dset>`.
    """

    surveys = True

    def __init__(self, track: Track, frames: BenchmarkSet, folder: Path) -> None:
        super().__init__(track, frames)
        self._folder = folder
        self._sketch = RankSketch()
        self._fitted: HalfMap | None = None
        self._proof, self._doubts = PixelProof(binned=True), ScoreDoubts()
        split = track.proof
        members = frames.members(split, frames.files) if split else frames.files
        self._proved = set(members)

    def survey(self, score: np.ndarray) -> None:
        """Take in where the scores lie."""
        self._sketch.update(score)

    def _half(self, score: np.ndarray) -> np.ndarray:
        if self._fitted is None:
            self._fitted = self._sketch.fit()
        return self._fitted(score)

    def _path(self, frame_id: str) -> Path:
        return self._folder / f"{frame_id}.hdf5"

    def write(self, frame_id: str, score: np.ndarray, classes: np.ndarray | None) -> None:
        """Write `<fid>.hdf5`, unless it holds this already."""
        half, path = self._half(score), self._path(frame_id)
        if not (path.exists() and _holds(path, half)):
            write_hdf5(path, half)

    def check(self, frame_id: str, score: np.ndarray, classes: np.ndarray | None) -> None:
        """Compare bit by bit, and count."""
        stored = verify_map(self._path(frame_id), self._half(score))
        self._doubts.update(stored)
        if frame_id in self._proved:
            self._proof.update(frame_id, score, stored, public_truth(self.frames, frame_id))

    def folder(self) -> Path:
        """Return `anomaly_p/<method>/<dset>`."""
        return self._folder

    def names(self) -> set[str]:
        """Return one name a frame."""
        return {f"{frame_id}.hdf5" for frame_id in self.frames.ids}

    def proof(self) -> dict[str, Any]:
        """Return AP and FPR95 before and after."""
        return self._proof.as_dict()

    def warnings(self) -> tuple[str, ...]:
        """Return what half precision could not keep."""
        return self._doubts.warnings()


def _holds(path: Path, half: np.ndarray) -> bool:
    try:
        verify_map(path, half)
    except DataError:
        return False
    return True


class _Hdf5Submission(Submission):
    """What the three sets share."""

    send = _SEND
    bytes_per_pixel = 4

    def writer(self, track: Track, frames: BenchmarkSet) -> Hdf5Writer:
        """Return the writer into `anomaly_p/<method>/<dset>`."""
        folder = self.out / OFFICIAL / self.settings.method / track.name
        return Hdf5Writer(track, frames, folder)

    def finish(self, proofs: Mapping[str, Mapping[str, Any]]) -> None:
        """Add nothing: the official tool reads the maps alone."""

    def packed(self) -> tuple[str, ...]:
        """Pack the official folder."""
        return (OFFICIAL,)


class SmiycAnomaly(_Hdf5Submission):
    """AnomalyTrack: 110 frames, 100 of them with hidden truth."""

    name = "smiyc-anomaly"
    tracks: ClassVar = (Track("AnomalyTrack-all", "smiyc-anomaly", "all"),)


class SmiycObstacle(_Hdf5Submission):
    """ObstacleTrack: 442 frames, 412 of them with hidden truth."""

    name = "smiyc-obstacle"
    tracks: ClassVar = (Track("ObstacleTrack-all", "smiyc-obstacle", "all"),)


class LostAndFound(_Hdf5Submission):
    """LostAndFound's test, of which `testNoKnown` is ranked; all truth is public."""

    name = "laf"
    tracks: ClassVar = (
        Track("LostAndFound-test", "laf", "test", splits=("testNoKnown",), proof="testNoKnown"),
    )
