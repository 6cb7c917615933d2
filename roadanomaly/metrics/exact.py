"""Exact pixel metrics of any number of frames, in memory for a few million scores at a time.

Each frame's scores are sorted by themselves into runs. The runs are merged from the highest
scores down, one range at a time, so that the numbers are those of a full sort of all pixels (as
scikit-learn computes them) whatever process made which run.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from roadanomaly.metrics.checks import check_frame
from roadanomaly.metrics.curve import CurveSum, PixelResult, undefined
from roadanomaly.metrics.keyed import ByFrame, FrameId
from roadanomaly.metrics.runs import STEP, Distinct, Run, frame_run, merge, open_run, write_run

AT_A_TIME = 1 << 21
"""About so many distinct scores of all frames are merged at a time."""


def pool_runs(
    runs: Sequence[Run], *, thin: bool = False, at_a_time: int = AT_A_TIME
) -> PixelResult:
    """Summarise the full curve over every distinct score of all frames.

    Precision changes the sum, and F1 and TPR rise, only where a threshold equals an anomaly's
    score, so the curve holds those thresholds and the ends of the straight runs between them.

    Args:
        runs: one a frame.
        thin: keep fewer than 1000 points of the curve (see `CurveSum`).
        at_a_time: how many distinct scores to merge at a time.

    Returns:
        All NaN without an anomaly pixel; AUROC and FPR95 NaN without an inlier pixel.
    """
    positives = sum(run.positive.pixels for run in runs)
    negatives = sum(run.negative.pixels for run in runs)
    if positives == 0:
        return undefined(negatives)
    walk = _Walk(CurveSum(positives, negatives, thin=thin))
    high = None
    for low in _edges(runs, at_a_time):
        walk.step(
            merge([run.positive.between(low, high) for run in runs]),
            merge([run.negative.between(low, high) for run in runs]),
        )
        high = low
    return walk.finish()


def _edges(runs: Sequence[Run], at_a_time: int) -> list[float]:
    """Return lower ends of ranges, descending to minus infinity, from the runs' pivots."""
    pivots = [part.pivots for run in runs for part in (run.positive, run.negative)]
    pooled = np.sort(np.concatenate(pivots).astype(np.float64))
    edges = np.unique(pooled[:: max(1, at_a_time // STEP)])[::-1]
    return [*edges[edges > -np.inf].tolist(), -np.inf]


class _Walk:
    """Turns merged ranges, the highest first, into points of a curve."""

    def __init__(self, curve: CurveSum) -> None:
        self.curve = curve
        self.tp = self.fp = 0
        self.on_curve = 0
        self.lowest_inlier = float("nan")
        curve.add(np.array([np.inf]), np.array([0]), np.array([0]))

    def step(self, positive: Distinct, negative: Distinct) -> None:
        """Add the points of one range."""
        scores = positive.values[::-1].astype(np.float64)
        inliers = negative.values.astype(np.float64)
        above = np.append(np.cumsum(negative.counts[::-1])[::-1], 0)
        tp = self.tp + np.cumsum(positive.counts[::-1])
        fp = self.fp + above[np.searchsorted(inliers, scores)]
        beyond = np.searchsorted(inliers, scores, side="right")
        fp_above = self.fp + above[beyond]
        run = fp_above > np.append(self.on_curve, fp[:-1])[: scores.size]
        ends = np.append(inliers, self.lowest_inlier)[beyond]
        points = np.stack([run, np.ones_like(run)], axis=1)
        tp_before = np.append(self.tp, tp[:-1])[: scores.size]
        self.curve.add(
            np.stack([ends, scores], axis=1)[points],
            np.stack([tp_before, tp], axis=1)[points],
            np.stack([fp_above, fp], axis=1)[points],
        )
        if scores.size:
            self.tp, self.on_curve = int(tp[-1]), int(fp[-1])
        if inliers.size:
            self.fp, self.lowest_inlier = self.fp + int(above[0]), float(inliers[0])

    def finish(self) -> PixelResult:
        """Add the point at which every pixel is called an anomaly, and return the numbers."""
        if self.on_curve < self.fp:
            self.curve.add(*(np.array([value]) for value in (self.lowest_inlier, self.tp, self.fp)))
        return self.curve.result()


class PixelExact:
    """The exact pixel metric, frame by frame.

    Args:
        folder: where the frames' sorted scores are kept, a file each, so that memory does not
            grow with the frames; None keeps them in memory.
        thin: keep fewer than 1000 points of the curve.
    """

    def __init__(self, folder: Path | None = None, *, thin: bool = False) -> None:
        self.folder, self.thin = folder, thin
        self._runs: ByFrame[Run] = ByFrame()

    def update(self, frame_id: FrameId, score: np.ndarray, label: np.ndarray) -> None:
        """Count one frame.

        Args:
            frame_id: unique name.
            score: `(H, W)` float16, float32 or float64; they may differ between frames.
            label: `(H, W)` uint8 of 0 inlier, 1 anomaly, 255 ignore.

        Raises:
            DataError: the frame cannot be scored, or was counted before.
        """
        run = frame_run(*check_frame(frame_id, score, label))
        if self.folder is not None:
            path = self.folder / f"{len(self._runs)}.run"
            write_run(path, run)
            run = open_run(path)
        self._runs.add(frame_id, run)

    def merge(self, other: PixelExact) -> None:
        """Take over the frames that another process counted."""
        self._runs.merge(other._runs)

    def compute(self) -> PixelResult:
        """Summarise all frames so far; NaN where undefined."""
        return pool_runs(self._runs.in_order(), thin=self.thin)
