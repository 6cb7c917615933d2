"""All benchmark numbers of a data set from its score maps and labels, in one call."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

import numpy as np

from roadanomaly.metrics.checks import MODES, check_name
from roadanomaly.metrics.component import SIZE_RULES, ComponentResult, Components
from roadanomaly.metrics.curve import PixelResult
from roadanomaly.metrics.exact import PixelExact
from roadanomaly.metrics.pixel import PixelOfficial

Scores = tuple[np.ndarray, np.ndarray]
"""Score `(H, W)` float and label `(H, W)` uint8 of one frame."""


def score_frames(
    frames: Iterable[Scores], track: str = "anomaly", mode: str = "official"
) -> dict[str, float]:
    """Compute pixel and component metrics of a data set.

    The components need the best-F1 threshold of all frames together, so each frame is used
    twice. A list or tuple is walked twice; anything else is walked once and kept in a temporary
    file meanwhile (in `TMPDIR`; as large as the frames), and exact mode keeps the frames' sorted
    scores there, so memory does not grow with the frames.

    Args:
        frames: score `(H, W)` float16, float32 or float64, higher = more anomalous, and label
            `(H, W)` uint8 of 0 inlier, 1 anomaly, 255 ignore. Scores are used in the type that
            they have; the benchmark's submissions are float16.
        track: `"anomaly"` or `"obstacle"`: the smallest components that count.
        mode: `"official"` for the benchmark's own numbers, frames in the order given; `"exact"`
            for a full sort of all pixels and masks of score >= threshold.

    Returns:
        `ap`, `auroc`, `fpr95`, `best_f1`, `best_f1_threshold`, `siou`, `ppv` and `f1`; fractions,
        NaN where undefined (no anomaly, no component, every pixel ignored).

    Raises:
        UnknownName: another track or mode.
        DataError: a frame has the wrong type or shape, NaN scores or another label id; the
            message names its index.

    >>> score = np.linspace(0, 1, 3200).reshape(40, 80)
    >>> label = (score > 0.5).astype(np.uint8)
    >>> result = score_frames([(score, label)], mode="exact")
    >>> result["ap"], result["siou"]
    (1.0, 1.0)
    """
    check_name("track", track, SIZE_RULES)
    check_name("mode", mode, MODES)
    with tempfile.TemporaryFile() as file, tempfile.TemporaryDirectory() as runs:
        pixels = PixelOfficial() if mode == "official" else PixelExact(Path(runs), thin=True)
        again: Iterable[Scores]
        if isinstance(frames, (list, tuple)):
            again = frames
        else:
            again = spool = _Spool(file)
            frames = spool.keep(frames)
        for index, (score, label) in enumerate(frames):
            pixels.update(index, score, label)
        pixel = pixels.compute()
        components = Components(track, pixel.best_f1_threshold, mode)
        for index, (score, label) in enumerate(again):
            components.update(index, score, label)
    return numbers_of(pixel, components.compute())


def numbers_of(pixel: PixelResult, component: ComponentResult) -> dict[str, float]:
    """Return the numbers of one mode by their names, as `score_frames` does.

    Without an anomaly pixel, or without an inlier pixel, nothing can be told apart: all are NaN.
    The benchmark's own code gives FPR95 and F1 of 0 there, which reads as perfect and as nothing.
    """
    numbers = {
        "ap": pixel.ap,
        "auroc": pixel.auroc,
        "fpr95": pixel.fpr95,
        "best_f1": pixel.best_f1,
        "best_f1_threshold": pixel.best_f1_threshold,
        "siou": component.siou,
        "ppv": component.ppv,
        "f1": component.f1,
    }
    both = pixel.positives > 0 and pixel.negatives > 0
    return numbers if both else dict.fromkeys(numbers, float("nan"))


class _Spool:
    """Frames written to a file as they pass by, to be read back in the same order."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._kinds: list[tuple[tuple[int, ...], np.dtype, np.dtype]] = []

    def keep(self, frames: Iterable[Scores]) -> Iterator[Scores]:
        """Pass the frames on, then write each once its receiver has accepted it."""
        for frame in frames:
            yield frame
            score, label = (np.ascontiguousarray(part) for part in frame)
            self._kinds.append((score.shape, score.dtype, label.dtype))
            self._file.write(score.data)
            self._file.write(label.data)

    def __iter__(self) -> Iterator[Scores]:
        self._file.seek(0)
        for shape, *dtypes in self._kinds:
            score, label = (
                np.fromfile(self._file, dtype, shape[0] * shape[1]).reshape(shape)
                for dtype in dtypes
            )
            yield score, label
