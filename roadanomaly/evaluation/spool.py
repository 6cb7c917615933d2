"""Score maps put aside on disk, between finding the threshold and using it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import numpy as np


class ScoreSpool:
    """A temporary folder of half-precision score maps, one a frame; gone after the `with` block.

    Half precision is what the benchmark's own files hold, so official numbers are taken on it.
    """

    def __enter__(self) -> ScoreSpool:
        self._folder = tempfile.TemporaryDirectory(prefix="roadanomaly-scores-")
        self._ids: list[str] = []
        self._detectors: dict[str, int] = {}
        self._labels: list[np.ndarray] = []
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._folder.cleanup()

    def _path(self, detector: str, number: int) -> Path:
        column = self._detectors.setdefault(detector, len(self._detectors))
        return Path(self._folder.name) / f"{column}-{number}.npy"

    def add(self, frame_id: str, truth: np.ndarray, scores: dict[str, np.ndarray]) -> None:
        """Keep the maps of one frame, `(H, W)` float16 each, and its label."""
        number = len(self._ids)
        self._ids.append(frame_id)
        self._labels.append(truth)
        for detector, score in scores.items():
            np.save(self._path(detector, number), score)

    def read(self, detector: str) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
        """Yield `(id, score, truth)` of each frame, in the order they came."""
        for number, (frame_id, truth) in enumerate(zip(self._ids, self._labels, strict=True)):
            yield frame_id, np.load(self._path(detector, number)), truth
