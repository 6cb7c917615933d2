"""Small pictures of scored frames, from which a page draws heat maps and masks at any threshold.

A frame leaves its image as JPEG, its label as a tiny PNG, and for each detector the score map as
a grey JPEG with the scores that its 256 greys stand for. The greys are spread half evenly over
the range and half over the ranks of the frame's scores, more densely to the top, so that a
threshold anywhere leaves a mask close to the real one.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from roadanomaly.files import file_name, write_bytes, write_text
from roadanomaly.report.pictures import rgb
from roadanomaly.types import Frame

FOLDER = "frames"
IMAGE_WIDTH, SCORE_WIDTH = 480, 320
IMAGE_BYTES, SCORE_BYTES = 22_000, 9_000
LEVELS = 65
"""Greys whose scores are kept; those between are interpolated."""
SHEET_BYTES = 120_000
SAMPLE = 30_000
"""Scores of a frame that its ranks are taken from."""
COVERED = 0.2
"""Share of a thumbnail's pixel that a labelled anomaly must cover to be seen in it."""


@dataclass(frozen=True)
class ScorePicture:
    """A score map in 256 greys.

    Args:
        grey: a JPEG file.
        levels: `(LEVELS,)` rising scores of evenly spaced greys, from 0 to 255.
    """

    grey: bytes
    levels: np.ndarray


@dataclass(frozen=True)
class FramePicture:
    """A frame's image and label, as files.

    Args:
        image: JPEG.
        truth: PNG of the greys 0 inlier, 1 anomaly, 255 ignore; None where there is no label.
    """

    image: bytes
    truth: bytes | None


def write_thumbnails(
    folder: Path, set_name: str, frame: Frame, scores: dict[str, np.ndarray]
) -> None:
    """Write a frame's small pictures into an evaluation's folder.

    Args:
        folder: of the evaluation.
        set_name: as in `Findings.set`.
        frame: image and label.
        scores: detector to `(H, W)` float scores; infinite ones are allowed.

    Raises:
        UserError: the folder cannot be written.
    """
    base, name = folder / FOLDER / file_name(set_name), file_name(frame.id)
    image = cv2.cvtColor(_shrink(rgb(frame), IMAGE_WIDTH), cv2.COLOR_RGB2BGR)
    write_bytes(base / "image" / f"{name}.jpg", _jpeg(image, 78, IMAGE_BYTES))
    if frame.truth is not None:
        truth = small_truth(frame.truth.numpy())
        write_bytes(base / "truth" / f"{name}.png", cv2.imencode(".png", truth)[1].tobytes())
    for detector, score in scores.items():
        picture = encode_score(score)
        place = base / "score" / file_name(detector)
        write_bytes(place / f"{name}.jpg", picture.grey)
        write_text(place / f"{name}.json", json.dumps(picture.levels.tolist()))


def read_frame(folder: Path, set_name: str, frame_id: str) -> FramePicture | None:
    """Return a frame's image and label, or None where no picture was kept."""
    base, name = folder / FOLDER / file_name(set_name), file_name(frame_id)
    image, truth = base / "image" / f"{name}.jpg", base / "truth" / f"{name}.png"
    if not image.exists():
        return None
    return FramePicture(image.read_bytes(), truth.read_bytes() if truth.exists() else None)


def read_score(folder: Path, set_name: str, detector: str, frame_id: str) -> ScorePicture | None:
    """Return a detector's score map of a frame, or None where no picture was kept."""
    place = folder / FOLDER / file_name(set_name) / "score" / file_name(detector)
    grey, levels = (place / f"{file_name(frame_id)}{suffix}" for suffix in (".jpg", ".json"))
    if not (grey.exists() and levels.exists()):
        return None
    return ScorePicture(grey.read_bytes(), np.array(json.loads(levels.read_text())))


def write_explanation(
    folder: Path, set_name: str, detector: str, frame_id: str, sheet: np.ndarray
) -> None:
    """Write the sheet of what a detector's score of a frame rests on, `(H, W, 3)` uint8 RGB.

    Raises:
        UserError: the folder cannot be written.
    """
    place = folder / FOLDER / file_name(set_name) / "explained" / file_name(detector)
    picture = cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR)
    write_bytes(place / f"{file_name(frame_id)}.jpg", _jpeg(picture, 80, SHEET_BYTES))


def read_explanation(folder: Path, set_name: str, detector: str, frame_id: str) -> bytes | None:
    """Return that sheet as a JPEG file, or None where none was kept."""
    place = folder / FOLDER / file_name(set_name) / "explained" / file_name(detector)
    path = place / f"{file_name(frame_id)}.jpg"
    return path.read_bytes() if path.exists() else None


def encode_score(score: np.ndarray) -> ScorePicture:
    """Turn `(H, W)` scores into greys and the scores that they stand for."""
    step = max(1, score.shape[1] // (2 * SCORE_WIDTH))
    taken = score[::step, ::step].astype(np.float64)
    finite = taken[np.isfinite(taken)]
    if finite.size == 0:
        finite = np.zeros(1)
    low, high = finite.min(), finite.max()
    height = np.linspace(0, 1, 257)
    sample = np.concatenate([finite[:: 1 + finite.size // SAMPLE], [low, high]])
    quantiles = np.quantile(sample, 1 - (1 - height) ** 2)
    even = (quantiles - low) / (high - low) if high > low else np.zeros(257)
    greys = 255 * (even + height) / 2
    grey = np.interp(taken, quantiles, greys) if high > low else np.zeros(taken.shape)
    small = _shrink(grey.astype(np.float32), SCORE_WIDTH)
    levels = np.interp(np.linspace(0, 255, LEVELS), greys, quantiles)
    coarse = np.array([float(f"{level:.6g}") for level in levels])
    return ScorePicture(_jpeg(np.rint(small).astype(np.uint8), 92, SCORE_BYTES), coarse)


def small_truth(truth: np.ndarray) -> np.ndarray:
    """Shrink a label; anomalies win where they cover a fifth of a pixel, so that few vanish."""
    width = min(SCORE_WIDTH, truth.shape[1])
    anomaly = _shrink((truth == 1).astype(np.float32), width)
    ignored = _shrink((truth == 255).astype(np.float32), width)
    small = np.where(ignored >= 0.5, 255, 0).astype(np.uint8)
    small[anomaly >= COVERED] = 1
    return small


def _shrink(array: np.ndarray, width: int) -> np.ndarray:
    """Scale to a width by averaging; narrower pictures stay as they are."""
    if array.shape[1] <= width:
        return array
    height = max(1, round(array.shape[0] * width / array.shape[1]))
    return cv2.resize(array, (width, height), interpolation=cv2.INTER_AREA)


def _jpeg(picture: np.ndarray, quality: int, limit: int) -> bytes:
    """Encode with the best quality that stays within `limit` bytes."""
    while True:
        content = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
        if len(content) <= limit or quality <= 8:
            return content
        quality -= 10
