"""Fishyscapes: a container that writes two arrays an image, and the figures it claims."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from roadanomaly.data.benchmark import BenchmarkSet
from roadanomaly.errors import DataError
from roadanomaly.evaluation.submission.base import Submission, Track, TrackWriter
from roadanomaly.evaluation.submission.container import FOLDER, write_container
from roadanomaly.evaluation.submission.proof import PixelProof, public_truth
from roadanomaly.files import write_text
from roadanomaly.scores.arrays import UNREADABLE, read_npy
from roadanomaly.scores.write import verify_map, write_fishyscapes

CLAIMS = "validation_performance.json"
"""The file in which a pull request claims AP and FPR95; the server's must be within 0.01 of it."""


class PairWriter(TrackWriter):
    """Writes `<id>_anomaly.npy` and `<id>_segmentation.npy`, as the container does.

    Args:
        track: which one.
        frames: its frames.
        folder: where to.
    """

    def __init__(self, track: Track, frames: BenchmarkSet, folder: Path) -> None:
        super().__init__(track, frames)
        self._folder = folder
        self._proof = PixelProof(binned=False)

    def write(self, frame_id: str, score: np.ndarray, classes: np.ndarray | None) -> None:
        """Write the pair, unless it is there and holds this."""
        assert classes is not None
        try:
            self._verify(frame_id, score, classes)
        except DataError:
            write_fishyscapes(self._folder, frame_id, score.astype(np.float32), classes)

    def _verify(self, frame_id: str, score: np.ndarray, classes: np.ndarray) -> np.ndarray:
        path = self._folder / f"{frame_id}_segmentation.npy"
        if not path.exists() or not _holds(path, classes):
            msg = f"{path} is missing or holds other classes; delete it and export again."
            raise DataError(msg)
        return verify_map(self._folder / f"{frame_id}_anomaly.npy", score.astype(np.float32))

    def check(self, frame_id: str, score: np.ndarray, classes: np.ndarray | None) -> None:
        """Compare both arrays, and count the scores."""
        assert classes is not None
        stored = self._verify(frame_id, score, classes)
        self._proof.update(frame_id, score, stored, public_truth(self.frames, frame_id))

    def folder(self) -> Path:
        """Return the track's folder."""
        return self._folder

    def names(self) -> set[str]:
        """Return two names a frame."""
        ends = ("anomaly", "segmentation")
        return {f"{frame_id}_{end}.npy" for frame_id in self.frames.ids for end in ends}

    def proof(self) -> dict[str, Any]:
        """Return AP and FPR95 before and after."""
        return self._proof.as_dict()


class Fishyscapes(Submission):
    """A container recipe with the model in it, and checked pairs of the public frames."""

    name = "fishyscapes"
    tracks: ClassVar = (
        Track("fishyscapes-laf", "fishyscapes-laf", "val"),
        Track("fishyscapes-static", "fishyscapes-static", "val", optional=True),
    )
    send = (
        "https://github.com/hermannsblum/fishyscapes: build the container, open a pull request "
        f"that edits {CLAIMS}, and upload the container by the form on fishyscapes.com/submission"
    )
    wants_classes = True
    unpacked = ("pairs",)
    bytes_per_pixel = 10

    def writer(self, track: Track, frames: BenchmarkSet) -> PairWriter:
        """Return the writer into `pairs/<track>`."""
        return PairWriter(track, frames, self.out / "pairs" / track.name)

    def finish(self, proofs: Mapping[str, Mapping[str, Any]]) -> None:
        """Write the container recipe, where there is a model, and the claims."""
        given = self.settings
        if given.model is not None:
            write_container(self.out / FOLDER, given.model, given.method, given.precision)
        claimed = proofs.get("fishyscapes-laf", {}).get("after", {})
        claims = {"ap": claimed.get("ap"), "fpr": claimed.get("fpr95")}
        write_text(self.out / CLAIMS, json.dumps(claims, indent=2) + "\n")

    def packed(self) -> tuple[str, ...]:
        """Pack the recipe and the claims; without a model, the pairs."""
        return (CLAIMS, "pairs" if self.settings.model is None else FOLDER)


def _holds(path: Path, classes: np.ndarray) -> bool:
    try:
        return np.array_equal(read_npy(path, lambda _: None), classes)
    except UNREADABLE:
        return False


def read_classes(folder: Path, frame_id: str, size: tuple[int, int]) -> np.ndarray:
    """Read `<id>_segmentation.npy`, which lies beside a stored map.

    Raises:
        DataError: it is absent, or no integers of the image's size.
    """
    path = folder / f"{frame_id}_segmentation.npy"
    if not path.is_file():
        msg = (
            f"Fishyscapes asks for a segmentation too, but {path} is missing. Save Cityscapes "
            "train ids, (H, W) uint8, under this name, or give the model instead of --scores."
        )
        raise DataError(msg)
    try:
        classes = read_npy(path, lambda _: None)
    except UNREADABLE as error:
        msg = f"{path} cannot be read ({error}); write it again."
        raise DataError(msg) from error
    if classes.shape != size or classes.dtype.kind not in "iu":
        msg = f"{path} is {classes.dtype} of shape {classes.shape}; it must be integers of {size}."
        raise DataError(msg)
    return classes
