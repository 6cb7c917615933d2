"""Where the scores of a submission come from: a model that makes them now, or stored maps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from roadanomaly.data.benchmark import BenchmarkSet
from roadanomaly.evaluation.submission.base import Track
from roadanomaly.evaluation.submission.fishyscapes import read_classes
from roadanomaly.evaluation.submission.in_container import train_ids
from roadanomaly.evaluation.submission.plan import fingerprint
from roadanomaly.files import write_array
from roadanomaly.model import Model, Result
from roadanomaly.scores.folder import ScoreFolder, open_scores
from roadanomaly.scores.read import check_values
from roadanomaly.scores.write import write_fishyscapes
from roadanomaly.seeded import score_image

Progress = Callable[[Sequence[str], str], Iterable[str]]
"""Passes frame ids on and shows how far they are; the second argument says what is done."""


@dataclass(frozen=True)
class ScoredTrack:
    """A track with a score map for every frame.

    Args:
        track: which one.
        frames: its frames.
        maps: their score maps.
        with_classes: whether segmentations lie beside them.
    """

    track: Track
    frames: BenchmarkSet
    maps: ScoreFolder
    with_classes: bool

    def read(self, frame_id: str) -> tuple[np.ndarray, np.ndarray | None]:
        """Return a frame's scores `(H, W)` at the image's size, and its classes if wanted.

        Raises:
            DataError: a file is missing or cannot be used.
        """
        size = self.frames.size(frame_id)
        score = self.maps.read(frame_id, size)
        classes = read_classes(self.maps.folder, frame_id, size) if self.with_classes else None
        return score, classes


class Source(ABC):
    """Makes or finds the score maps of a track.

    Class facts:
        bytes_per_pixel: of what is kept on disk meanwhile.
    """

    bytes_per_pixel = 0

    @abstractmethod
    def identity(self, track: Track, frames: BenchmarkSet) -> str:
        """Return what tells these scores from others."""

    @abstractmethod
    def maps(
        self, track: Track, frames: BenchmarkSet, kept: Path, progress: Progress
    ) -> ScoreFolder:
        """Return the maps of all frames.

        Args:
            track: which one.
            frames: its frames.
            kept: folder for maps that are made now; those in it already are not made again.
            progress: shows how far it is.

        Raises:
            DataError: a map is missing, superfluous or cannot be used.
        """

    @abstractmethod
    def rehearse(self, track: Track, frames: BenchmarkSet, progress: Progress) -> None:
        """Find what would be refused, as far as that can be known without writing anything.

        Raises:
            DataError: a map is missing, superfluous or cannot be used, or the model's is none.
        """


class StoredMaps(Source):
    """Score maps in files.

    Args:
        folder: that holds them, or a folder a track (by the track's name, or the official one).
        with_classes: segmentations lie beside them.
    """

    def __init__(self, folder: Path, *, with_classes: bool) -> None:
        self.folder = folder
        self.with_classes = with_classes

    def find(self, track: Track, frames: BenchmarkSet) -> ScoreFolder:
        """Return the maps of a track, each frame's and no stranger's.

        Raises:
            DataError: no maps, one is missing, or one is of no frame of the set.
        """
        names = (track.name, track.data, *track.maps)
        own = next((self.folder / name for name in names if (self.folder / name).is_dir()), None)
        found = open_scores(own or self.folder, names)
        found.check(frames.ids, also=frames.set_ids())
        return found

    def identity(self, track: Track, frames: BenchmarkSet) -> str:
        """Return a digest of names, sizes and times of the files."""
        found = self.find(track, frames)
        return fingerprint({key: found.paths[key] for key in frames.ids})

    def maps(
        self, track: Track, frames: BenchmarkSet, kept: Path, progress: Progress
    ) -> ScoreFolder:
        """Find them; nothing is copied."""
        return self.find(track, frames)

    def rehearse(self, track: Track, frames: BenchmarkSet, progress: Progress) -> None:
        """Read every map."""
        found = ScoredTrack(track, frames, self.find(track, frames), self.with_classes)
        for frame_id in progress(frames.ids, f"read {track.name}"):
            found.read(frame_id)


class ModelScores(Source):
    """Scores that a model makes now; they are kept on disk until the submission is whole.

    Args:
        model: on its device.
        identity: what tells it from other models, such as a hash of its weights.
        with_classes: keep the segmentation too.
    """

    def __init__(self, model: Model, identity: str, *, with_classes: bool) -> None:
        self.model = model
        self.with_classes = with_classes
        self.bytes_per_pixel = 5 if with_classes else 4
        self._identity = identity

    def identity(self, track: Track, frames: BenchmarkSet) -> str:
        """Return the model's."""
        return self._identity

    def maps(
        self, track: Track, frames: BenchmarkSet, kept: Path, progress: Progress
    ) -> ScoreFolder:
        """Score the frames that have no map in `kept` yet."""
        ending = "_anomaly" if self.with_classes else ""
        paths = {key: kept / f"{key}{ending}.npy" for key in frames.ids}
        missing = [key for key, path in paths.items() if not path.exists()]
        for frame_id in progress(missing, f"score {track.name}"):
            result = self._score(frames, frame_id)
            if self.with_classes:
                classes = train_ids(self.model, result)
                write_fishyscapes(kept, frame_id, result.score, classes)
            else:
                write_array(paths[frame_id], result.score)
        return ScoreFolder(kept, paths)

    def _score(self, frames: BenchmarkSet, frame_id: str) -> Result:
        result = score_image(self.model, frames.picture(frames.files[frame_id]), frame_id)
        check_values(f"the score of {frame_id}", result.score)
        return result

    def rehearse(self, track: Track, frames: BenchmarkSet, progress: Progress) -> None:
        """Score one frame."""
        for frame_id in progress(frames.ids[:1], f"try {track.name}"):
            result = self._score(frames, frame_id)
            if self.with_classes:
                train_ids(self.model, result)
