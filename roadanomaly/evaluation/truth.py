"""What an evaluation asks of a data set before it scores: its truth, or why there is none."""

from __future__ import annotations

import numpy as np

from roadanomaly.data.base import FrameSet
from roadanomaly.errors import DataError
from roadanomaly.types import Frame


def require_truth(frames: FrameSet) -> list[str]:
    """Return the ids of all frames, or refuse those whose truth is kept back.

    Raises:
        DataError: there are no frames, two have one id, or a benchmark hides their truth.
    """
    ids = frames.frame_ids()
    if not ids:
        msg = "the data set holds no frame; choose another split or folder."
        raise DataError(msg)
    if len(set(ids)) < len(ids):
        twice = next(name for name in ids if ids.count(name) > 1)
        msg = f"two frames have the id {twice}; ids must be unique, so rename one of them."
        raise DataError(msg)
    hidden = [name for name in ids if frames.hidden(name)]
    if hidden:
        msg = f"{len(hidden)} of {len(ids)} frames cannot be scored: {frames.hidden(hidden[0])}"
        raise DataError(msg)
    return ids


def truth_of(frame: Frame) -> np.ndarray:
    """Return a frame's truth, `(H, W)` uint8 of 0 inlier, 1 anomaly, 255 ignore.

    Raises:
        DataError: it carries no label.
    """
    if frame.truth is None:
        msg = (
            f"frame {frame.id} cannot be scored: it has no label; use `predict`, or name the "
            "folder of labels."
        )
        raise DataError(msg)
    return frame.truth.numpy()


def listed_frames(frames: FrameSet) -> int:
    """Return how many frames the split has as published, or as it lies here where unknown.

    Of some frames that were picked from a set, those of the whole set.
    """
    published = str(frames.record().get("frames", "")).rpartition(" of ")[2]
    return int(published) if published.isdigit() else frames.whole
