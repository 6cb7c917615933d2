"""Small labelled scenes, and sources that score them, for evaluations in tests."""

from __future__ import annotations

import numpy as np
import torch

from roadanomaly.data.base import FrameSet
from roadanomaly.evaluation.job import Job
from roadanomaly.evaluation.protocols import PROTOCOLS
from roadanomaly.evaluation.sources import FrameScores, ScoreSource
from roadanomaly.types import Frame
from tests.contracts import toy


class Scenes(FrameSet):
    """Stripes of the toy's colours with a dark patch in each frame but the last."""

    source = "made up"
    licence = "none"
    classes = toy.CLASSES

    def __init__(self, count=3, *, labelled=True, classes=toy.CLASSES, seed=0):
        self.count, self.labelled, self.classes, self.seed = count, labelled, classes, seed

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        if index >= self.count:
            raise IndexError(index)
        batch = toy.inliers(1, index + 100 * self.seed)
        if index < self.count - 1:
            batch = toy.planted(batch, 0.3)
        image = (batch.image[0] * 255).round().to(torch.uint8)
        return Frame(f"scene_{index}", image, batch.label[0] if self.labelled else None)

    def record(self):
        return {"name": "scenes", "count": self.count}


class Drawn(ScoreSource):
    """Scores that are drawn around the truth, one draw a frame id; counts what it scored.

    Args:
        frames: the ids that exist.
        dtype: of the scores.
        classes: of its predictions, drawn too; empty for none.
        fails_at: raise this error instead of scoring so-manieth frame.
    """

    def __init__(self, dtype=np.float32, classes=(), fails_at=None, size=6.0):
        self.calibrations, self.supervision = {"drawn": None}, {"drawn": "unknown"}
        self.dtype, self.classes, self.fails_at, self.size = dtype, tuple(classes), fails_at, size
        self.fingerprint = self.record = {"drawn": str(dtype)}
        self.scored = []

    def check(self, frames):
        """Any frame can be scored."""

    def score(self, frame):
        if self.fails_at is not None and len(self.scored) == self.fails_at[0]:
            raise self.fails_at[1]
        self.scored.append(frame.id)
        rng = np.random.default_rng(list(frame.id.encode()))
        truth = frame.truth.numpy()
        score = rng.normal(size=truth.shape) + self.size / 4 * (truth == 1)
        classes = {}
        if self.classes:
            drawn = rng.integers(0, len(self.classes), truth.shape).astype(np.uint8)
            classes = {"drawn": drawn}
        return FrameScores({"drawn": score.astype(self.dtype)}, {"drawn": 1.5}, classes)


def job(source=None, frames=None, protocol="folder", **options):
    """A job on the scenes, scored as a folder is, with sizes that the scenes have."""
    options = {"track": "obstacle", **options}
    return Job(source or Drawn(), frames or Scenes(), PROTOCOLS[protocol], **options)
