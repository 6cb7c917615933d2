"""What a submission consists of: tracks, and for each a writer that also reads back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from roadanomaly.data.benchmark import BenchmarkSet
from roadanomaly.precision import Precision


@dataclass(frozen=True)
class Track:
    """One data set of a submission.

    Args:
        name: of the track; for the official tool, the name under which it stores the maps.
        data: data set in the catalogue.
        split: the frames that are submitted.
        splits: further splits that may be submitted instead.
        proof: the split that the benchmark ranks by, where its truth is public; None takes every
            frame with public truth.
        maps: names of folders that may hold stored score maps of this track.
        optional: left out where its data is absent.
    """

    name: str
    data: str
    split: str
    splits: tuple[str, ...] = ()
    proof: str | None = None
    maps: tuple[str, ...] = ()
    optional: bool = False


@dataclass(frozen=True)
class Settings:
    """What the user chose.

    Args:
        method: name of the method, part of folder and archive names.
        threshold: OoDIS: pixels with a score above it form objects.
        min_area: OoDIS: objects of fewer pixels are left out.
        paper: OoDIS: link for the description; may be empty.
        code: OoDIS: link for the description; may be empty.
        model: Fishyscapes: folder of the saved model that goes into the container.
        precision: Fishyscapes: what the container's network computes in.
    """

    method: str
    threshold: float | None = None
    min_area: int = 50
    paper: str = ""
    code: str = ""
    model: Path | None = None
    precision: Precision = "f32"


class TrackWriter(ABC):
    """Writes the frames of one track, then reads them back.

    Where a writer surveys, all maps are shown to it before the first is written; all are written
    before the first is checked.

    Class facts:
        surveys: whether `survey` must be called.

    Args:
        track: which one.
        frames: its frames.
    """

    surveys: ClassVar[bool] = False

    def __init__(self, track: Track, frames: BenchmarkSet) -> None:
        self.track = track
        self.frames = frames

    def survey(self, score: np.ndarray) -> None:
        """Look at one map, `(H, W)` float, of those that are to be written, where `surveys`."""
        del score

    @abstractmethod
    def write(self, frame_id: str, score: np.ndarray, classes: np.ndarray | None) -> None:
        """Write the files of a frame, unless they are there already.

        Args:
            frame_id: of the frame.
            score: `(H, W)` float at the image's size.
            classes: `(H, W)` Cityscapes train ids, where the benchmark wants them.

        Raises:
            UserError: a file cannot be written.
        """

    @abstractmethod
    def check(self, frame_id: str, score: np.ndarray, classes: np.ndarray | None) -> None:
        """Read the files of a frame back, compare them, and count them for the proof.

        Raises:
            DataError: a file is absent or holds something else.
        """

    @abstractmethod
    def folder(self) -> Path:
        """Return the folder that holds this track's files and no others."""

    @abstractmethod
    def names(self) -> set[str]:
        """Return the names of the files that the folder must hold, once all are written."""

    @abstractmethod
    def proof(self) -> dict[str, Any]:
        """Return what the checked frames prove, plain values.

        Raises:
            DataError: more was lost than is allowed.
        """

    def warnings(self) -> tuple[str, ...]:
        """Return what makes the checked files doubtful, a sentence each."""
        return ()


class Submission(ABC):
    """What one benchmark accepts.

    Class facts:
        name: as `--for` takes it.
        tracks: the data sets.
        send: where the archive goes.
        wants_classes: whether the segmenter's classes are submitted too.
        unpacked: further names in `out` that are not packed.
        bytes_per_pixel: of files and archive, estimated from above.

    Args:
        out: folder to write into.
        settings: what the user chose.
    """

    name: ClassVar[str]
    tracks: ClassVar[tuple[Track, ...]]
    send: ClassVar[str]
    wants_classes: ClassVar[bool] = False
    unpacked: ClassVar[tuple[str, ...]] = ()
    bytes_per_pixel: ClassVar[float] = 0.1

    def __init__(self, out: Path, settings: Settings) -> None:
        self.out = out
        self.settings = settings

    def identity(self) -> dict[str, Any]:
        """Return the settings that change what is written."""
        return {"method": self.settings.method}

    @abstractmethod
    def writer(self, track: Track, frames: BenchmarkSet) -> TrackWriter:
        """Return the writer of a track."""

    @abstractmethod
    def finish(self, proofs: Mapping[str, Mapping[str, Any]]) -> None:
        """Write what belongs to no frame.

        Args:
            proofs: of each track, by its name.
        """

    @abstractmethod
    def packed(self) -> tuple[str, ...]:
        """Return the files and folders in `out` that the archive holds."""

    def archive(self) -> Path:
        """Return the path of the archive."""
        return self.out / f"{self.name}_{self.settings.method}.zip"
