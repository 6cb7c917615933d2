"""What a model scores on inlier pixels: thresholds are set by it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from roadanomaly.data.base import FrameSet
from roadanomaly.data.groups import groups
from roadanomaly.data.stack import stack
from roadanomaly.model import Model
from roadanomaly.progress import progress
from roadanomaly.types import Frame


def inlier_scores(model: Model, frames: FrameSet, batch: int = 1) -> Iterator[np.ndarray]:
    """Yield the scores of each frame's inlier pixels, 1-D float32.

    Args:
        model: on its device.
        frames: those whose truth is 0 count; a frame of which nothing is known counts whole.
        batch: frames that are scored together, at most; only those of one size are.
    """
    for frame, values in scored(model, frames, "calibrate", batch):
        yield inliers_of(frame, values)


def inliers_of(frame: Frame, score: np.ndarray) -> np.ndarray:
    """Return the scores of a frame's inlier pixels, 1-D; all, where nothing is known of it.

    Args:
        frame: whose truth says where they are.
        score: `(H, W)` float32.
    """
    truth = frame.truth
    return score.ravel() if truth is None else score[truth.numpy() == 0]


def scored(
    model: Model, frames: FrameSet, what: str, batch: int = 1
) -> Iterator[tuple[Frame, np.ndarray]]:
    """Yield each frame with its score, `(H, W)` float32, and show how far it has come.

    Args:
        model: on its device.
        frames: which.
        what: is being done, in a word.
        batch: as in `inlier_scores`.
    """
    size = 1 if model.head.one_by_one else batch
    for group in groups(frames, progress(range(len(frames)), what), size, model.device):
        here = stack([frame.to(model.device) for _, frame in group]).to(model.device)
        model.detector.reset()
        score, _ = model.score(here.image, here.ids)
        for (_, frame), values in zip(group, score.detach().cpu().numpy(), strict=True):
            yield frame, values
