"""Scored frames on disk, between finding the threshold and using it, and after a kill."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from roadanomaly.errors import DataError, UserError
from roadanomaly.evaluation.measure import Measured
from roadanomaly.files import in_words, write_array, write_bytes
from roadanomaly.metrics.runs import Run, open_run, write_run
from roadanomaly.scores.arrays import UNREADABLE

VERSION = 1
"""Of fingerprints: another one makes void all that is known by one."""

LAYOUT = 3
"""Of what a frame leaves behind: another one makes void what is kept of frames alone."""


@dataclass(frozen=True)
class FrameMaps:
    """What the second look at a frame needs beside its scores, `(H, W)` uint8 each.

    Args:
        truth: 0 inlier, 1 anomaly, 255 ignore.
        label: class index, 254 or 255, for open-set metrics; else None.
        classes: most likely known class in the set's own classes by the number of the detector; of
            those that say one, where open-set metrics are wanted.
    """

    truth: np.ndarray
    label: np.ndarray | None = None
    classes: Mapping[int, np.ndarray] = field(default_factory=dict)


class FrameSpool:
    """A folder of scored frames, by their number in the set and the number of the detector.

    A frame's numbers are written last, so a frame that has them is whole.

    Args:
        folder: of one source of scores on one set.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def _path(self, number: int, what: str) -> Path:
        return self.folder / f"{number:06d}.{what}"

    def finished(self, marks: Sequence[str]) -> list[int]:
        """Return the numbers of the frames that are scored already.

        Args:
            marks: what each frame's scores depend on; a frame of another mark is not finished.
        """
        return [number for number, mark in enumerate(marks) if self._mark(number) == mark]

    def _mark(self, number: int) -> str | None:
        try:
            with np.load(self._path(number, "npz")) as held:
                return str(held["mark"])
        except UNREADABLE:
            return None

    def add(
        self,
        number: int,
        maps: FrameMaps,
        scores: Iterable[np.ndarray],
        runs: Iterable[Run],
        measured: Iterable[Measured],
        mark: str = "",
    ) -> None:
        """Keep a frame: its maps, and a score, a run and the numbers for each detector.

        Raises:
            UserError: the folder cannot be written.
        """
        for what in ("truth", "label"):
            if (array := getattr(maps, what)) is not None:
                write_array(self._path(number, f"{what}.npy"), array)
        for column, array in maps.classes.items():
            write_array(self._path(number, f"{column}.classes.npy"), array)
        for column, score in enumerate(scores):
            write_array(self._path(number, f"{column}.npy"), score)
        for column, run in enumerate(runs):
            write_run(self._path(number, f"{column}.run"), run)
        arrays = {
            f"{column}/{name}": array
            for column, one in enumerate(measured)
            for name, array in one.as_arrays().items()
        }
        content = io.BytesIO()
        np.savez(content, mark=np.array(mark), **arrays)  # type: ignore[arg-type]
        write_bytes(self._path(number, "npz"), content.getvalue())

    def maps(self, number: int) -> FrameMaps:
        """Read a frame's truth and label; `classes` reads the classes."""
        paths = {what: self._path(number, f"{what}.npy") for what in ("truth", "label")}
        return FrameMaps(**{w: np.load(p) for w, p in paths.items() if p.exists()})

    def classes(self, number: int, column: int) -> np.ndarray | None:
        """Read what a detector says of a frame's classes, or None."""
        path = self._path(number, f"{column}.classes.npy")
        return np.load(path) if path.exists() else None

    def score(self, number: int, column: int) -> np.ndarray:
        """Read a detector's map of a frame."""
        return np.load(self._path(number, f"{column}.npy"))

    def run(self, number: int, column: int) -> Run:
        """Open a detector's sorted scores of a frame."""
        return open_run(self._path(number, f"{column}.run"))

    def frame_id(self, number: int) -> str:
        """Return a frame's id."""
        return str(self.measured(number, 0).image.frame_id)

    def size(self, number: int) -> int:
        """Return the bytes that a frame takes."""
        return sum(path.stat().st_size for path in self.folder.glob(f"{number:06d}.*"))

    def measured(self, number: int, column: int) -> Measured:
        """Read a detector's numbers of a frame.

        Raises:
            DataError: the file is broken.
        """
        path = self._path(number, "npz")
        try:
            with np.load(path) as held:
                names = [name for name in held.files if name.startswith(f"{column}/")]
                return Measured.from_arrays({n.partition("/")[2]: held[n] for n in names})
        except UNREADABLE as error:
            msg = f"{path} is broken ({error}); delete {self.folder} and evaluate again."
            raise DataError(msg) from error


def fingerprint(values: dict[str, Any]) -> str:
    """Return 16 digits that change whenever one of the plain values does."""
    text = json.dumps({"version": VERSION, **values}, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def drop_others(folder: Path, kept: Iterable[str]) -> int:
    """Delete the folders of scored frames that no longer apply; return how many frames they had."""
    kept, dropped = set(kept), 0
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.is_dir() and path.name not in kept:
            dropped += len(list(path.glob("*.npz")))
            shutil.rmtree(path, ignore_errors=True)
    return dropped


def require_room(folder: Path, needed: int) -> None:
    """Refuse to begin what the disk cannot hold.

    Args:
        folder: where the frames will lie; it or a folder above it exists.
        needed: bytes.

    Raises:
        UserError: says how much is needed and how much is there.
    """
    there = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(there).free
    if needed > free:
        msg = (
            f"{folder} needs about {in_words(needed)} for score maps while it evaluates, but "
            f"{in_words(free)} are free there. Choose another --out, fewer detectors or sets at "
            "a time, or --mode official, which needs half."
        )
        raise UserError(msg)
