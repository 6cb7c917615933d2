"""OoDIS: a mask an object and a text file a frame, in a folder a track."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, cast

import cv2
import numpy as np

from roadanomaly.data.benchmark import BenchmarkSet
from roadanomaly.data.images import write_image
from roadanomaly.data.oodis import OodisFishyscapes, OodisRoadAnomaly, OodisRoadObstacle
from roadanomaly.errors import DataError, OptionError
from roadanomaly.evaluation.submission.base import Settings, Submission, Track, TrackWriter
from roadanomaly.evaluation.submission.instances import predicted_objects
from roadanomaly.evaluation.submission.proof import compare
from roadanomaly.files import write_text
from roadanomaly.metrics.instance import Instances, PredictedInstance, oodis_instances

DESCRIPTION = "description.txt"
_CLASS = 1
_ENDING = "_pred.txt"
_Set = OodisFishyscapes | OodisRoadAnomaly | OodisRoadObstacle


class InstanceWriter(TrackWriter):
    """Writes `<frame>_instanceIds_<n>_1.png` an object, then `<frame>_instanceIds_pred.txt`.

    Args:
        track: which one.
        frames: its frames.
        folder: where to.
        threshold: pixels with a score above it form objects.
        min_area: of an object, pixels.
    """

    def __init__(
        self, track: Track, frames: BenchmarkSet, folder: Path, threshold: float, min_area: int
    ) -> None:
        super().__init__(track, frames)
        self._folder = folder
        self._threshold, self._min_area = threshold, min_area
        self._names: set[str] = set()
        self._before, self._after = Instances(), Instances()
        self._proved = 0

    def _objects(self, score: np.ndarray) -> list[PredictedInstance]:
        return predicted_objects(score, self._threshold, self._min_area)

    def _text(self, frame_id: str) -> str:
        return cast(_Set, self.frames).prediction_file(frame_id)

    def write(self, frame_id: str, score: np.ndarray, classes: np.ndarray | None) -> None:
        """Write the masks, then the text file that names them, unless they are there."""
        objects, text = self._objects(score), self._text(frame_id)
        try:
            _compare(read_objects(self._folder / text), objects, self._folder / text)
        except DataError:
            write_objects(self._folder, text, objects)

    def check(self, frame_id: str, score: np.ndarray, classes: np.ndarray | None) -> None:
        """Compare every mask and confidence; count them where the true objects are public."""
        objects, path = self._objects(score), self._folder / self._text(frame_id)
        stored = read_objects(path)
        _compare(stored, objects, path)
        self._names |= {path.name, *(name for name, _ in _lines(path))}
        truth = self._truth(frame_id)
        if truth is not None:
            self._before.add(frame_id, oodis_instances(objects, truth))
            self._after.add(frame_id, oodis_instances(stored, truth))
            self._proved += 1

    def _truth(self, frame_id: str) -> np.ndarray | None:
        if not isinstance(self.frames, OodisFishyscapes):
            return None
        found = self.frames.instances(frame_id)
        return None if found is None else found.numpy()

    def folder(self) -> Path:
        """Return the track's folder."""
        return self._folder

    def names(self) -> set[str]:
        """Return the names of all text files and of the masks that they list."""
        return self._names

    def proof(self) -> dict[str, Any]:
        """Return AP and AP50 before and after."""
        if not self._proved:
            return {"frames": 0}
        before, after = self._before.compute(), self._after.compute()
        return compare(
            self._proved,
            {"ap": before.ap, "ap50": before.ap50},
            {"ap": after.ap, "ap50": after.ap50},
        )


def write_objects(folder: Path, text: str, objects: list[PredictedInstance]) -> None:
    """Write a frame's masks and its text file, the latter last.

    Args:
        folder: of the track.
        text: name of the text file.
        objects: the surest first.

    Raises:
        UserError: a file cannot be written.
    """
    lines = []
    for number, one in enumerate(objects):
        name = f"{text.removesuffix(_ENDING)}_{number}_{_CLASS}.png"
        write_image(folder / name, one.mask.astype(np.uint8) * 255)
        lines.append(f"{name} {_CLASS} {one.confidence!r}\n")
    write_text(folder / text, "".join(lines))


def read_objects(path: Path) -> list[PredictedInstance]:
    """Read a frame's objects as the benchmark does: non-zero pixels of each listed image.

    Raises:
        DataError: the text file or a mask is absent or damaged, or no object is listed.
    """
    objects = []
    for name, confidence in _lines(path):
        mask = cv2.imread(str(path.parent / name), cv2.IMREAD_GRAYSCALE)
        if mask is None:
            msg = f"{path} names {name}, which is missing or no image; export again."
            raise DataError(msg)
        objects.append(PredictedInstance(mask != 0, confidence))
    if not objects:
        msg = f"{path} lists no object; OoDIS demands at least one in every frame."
        raise DataError(msg)
    return objects


def _lines(path: Path) -> list[tuple[str, float]]:
    try:
        split = [line.split(" ") for line in path.read_text().splitlines()]
        return [(name, float(confidence)) for name, _, confidence in split]
    except (OSError, ValueError) as error:
        msg = f"{path} is missing or not `<png> <class> <confidence>` a line ({error})."
        raise DataError(msg) from error


def _compare(stored: list[PredictedInstance], made: list[PredictedInstance], path: Path) -> None:
    same = len(stored) == len(made) and all(
        one.confidence == other.confidence and np.array_equal(one.mask, other.mask)
        for one, other in zip(stored, made, strict=True)
    )
    if not same:
        msg = f"{path} or its masks hold other objects than those found; delete it, export again."
        raise DataError(msg)


class Oodis(Submission):
    """Three tracks in one archive; all three are asked for."""

    name = "oodis"
    tracks: ClassVar = (
        Track("fishyscapes", "oodis-fishyscapes", "all"),
        Track("roadanomaly", "oodis-roadanomaly", "test", maps=("AnomalyTrack-all",)),
        Track("roadobstacle", "oodis-roadobstacle", "test", maps=("ObstacleTrack-all",)),
    )
    send = "https://vision.rwth-aachen.de/oodis, which leads to the evaluation server"

    def __init__(self, out: Path, settings: Settings) -> None:
        super().__init__(out, settings)
        if settings.threshold is None or not math.isfinite(settings.threshold):
            msg = (
                f"OoDIS wants objects, not scores, but the threshold is {settings.threshold}. Give "
                "--threshold, the score that pixels of an object exceed, chosen on a validation "
                "set, or a model that `roadanomaly fit` or `train` calibrated."
            )
            raise OptionError(msg)
        self.threshold = settings.threshold

    def identity(self) -> dict[str, Any]:
        """Return what changes the objects."""
        settings = self.settings
        return {
            **super().identity(),
            "threshold": self.threshold,
            "min_area": settings.min_area,
            "paper": settings.paper,
            "code": settings.code,
        }

    def writer(self, track: Track, frames: BenchmarkSet) -> InstanceWriter:
        """Return the writer into `<track>/`."""
        folder, area = self.out / track.name, self.settings.min_area
        return InstanceWriter(track, frames, folder, self.threshold, area)

    def finish(self, proofs: Mapping[str, Mapping[str, Any]]) -> None:
        """Write the description that the server reads."""
        settings = self.settings
        lines = (
            f"name: {settings.method}",
            f"paper_link: {settings.paper}",
            f"code_link: {settings.code}",
        )
        write_text(self.out / DESCRIPTION, "\n".join(lines) + "\n")

    def packed(self) -> tuple[str, ...]:
        """Pack the folders of the tracks, and the description."""
        return (*(track.name for track in self.tracks), DESCRIPTION)
