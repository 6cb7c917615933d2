"""What a model scores on inlier pixels: thresholds are set by it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from roadanomaly.data.base import FrameSet
from roadanomaly.data.stack import stack
from roadanomaly.model import Model
from roadanomaly.progress import progress


def inlier_scores(model: Model, frames: FrameSet) -> Iterator[np.ndarray]:
    """Yield the scores of each frame's inlier pixels, 1-D float32.

    Args:
        model: on its device.
        frames: those whose truth is 0 count; a frame of which nothing is known counts whole.
    """
    for frame in progress(frames, "calibrate"):
        score, _ = model.score(stack([frame]).to(model.device).image)
        values = score[0].cpu().numpy()
        truth = frame.truth
        yield values.ravel() if truth is None else values[truth.numpy() == 0]
