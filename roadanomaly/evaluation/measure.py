"""First look at a frame: all that can be said of it before a threshold is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from roadanomaly.metrics.checks import check_frame
from roadanomaly.metrics.open_set import halve
from roadanomaly.metrics.per_image import ImageScore, run_score
from roadanomaly.metrics.pixel import FrameCurve, frame_curve
from roadanomaly.metrics.runs import Run, frame_run
from roadanomaly.scores import ScoreDoubts

NO_CLASSES = np.empty(0)
"""The confusion of a detector that says no class."""


@dataclass(frozen=True)
class Measured:
    """One detector on one frame.

    Args:
        curve: the benchmark's bins, of the scores as it judges them.
        image: exact numbers of this frame alone.
        doubts: what half precision does to its scores.
        ms: time of segmenter and detector, milliseconds; NaN for stored maps.
        positives: scores of anomaly pixels at half size, for the threshold of open-mIoU; empty
            where that is not wanted.
        confusion: `(K, K)` closed confusion of its classes; empty where there is none.
        enlarged: whether the benchmark judges its scores in the precision that they have, since it
            has enlarged them, and not in half precision.
    """

    curve: FrameCurve
    image: ImageScore
    doubts: ScoreDoubts
    ms: float
    positives: np.ndarray
    confusion: np.ndarray
    enlarged: bool = False

    def as_arrays(self) -> dict[str, np.ndarray]:
        """Return all of it as arrays, to be kept in a file."""
        one = self.image
        numbers = [one.ap, one.auroc, one.fpr95, one.positives, one.negatives, self.ms]
        return {
            "id": np.array(one.frame_id),
            "image": np.array(numbers, np.float64),
            "positives": self.positives,
            "confusion": self.confusion,
            "enlarged": np.array(self.enlarged),
            **{f"curve_{key}": getattr(self.curve, key) for key in ("thresholds", "tp", "fp")},
            **{f"doubts_{key}": array for key, array in self.doubts.as_arrays().items()},
        }

    @classmethod
    def from_arrays(cls, held: dict[str, np.ndarray]) -> Measured:
        """Rebuild from `as_arrays`."""
        ap, auroc, fpr95, positives, negatives, ms = held["image"].tolist()
        return cls(
            FrameCurve(*(held[f"curve_{key}"] for key in ("thresholds", "tp", "fp"))),
            ImageScore(str(held["id"]), ap, auroc, fpr95, int(positives), int(negatives)),
            ScoreDoubts.from_arrays(held["doubts_numbers"], held["doubts_seen"]),
            ms,
            held["positives"],
            held["confusion"],
            bool(held["enlarged"]),
        )


def measure(
    frame_id: str,
    score: np.ndarray,
    truth: np.ndarray,
    ms: float,
    *,
    official: bool = False,
    enlarged: bool = False,
    open_set: bool = False,
    confusion: np.ndarray = NO_CLASSES,
) -> tuple[Measured, Run, np.ndarray]:
    """Measure a frame, and sort its scores.

    Args:
        frame_id: its name.
        score: `(H, W)` float.
        truth: `(H, W)` uint8 of 0, 1, 255.
        ms: how long it took to score.
        official: take every number from the scores as the official tool judges them, not only the
            benchmark's own.
        enlarged: the score comes from a narrower map, so the official tool judges it in the
            precision that it has here; else in half precision.
        open_set: keep what the threshold of open-mIoU needs.
        confusion: of its classes on this frame.

    Returns:
        the numbers, the sorted scores, and the score map that they are of.

    Raises:
        DataError: the frame cannot be scored.
    """
    score, truth = check_frame(frame_id, score, truth)
    doubts = ScoreDoubts()
    doubts.update(score)
    judged = official_scores(score, enlarged=enlarged)
    if official:
        score = judged
    run = frame_run(score, truth)
    positives = np.empty(0)
    if open_set:
        small, label = halve(score, truth)
        positives = small[label == 1]
    curve = frame_curve(judged, truth)
    image = run_score(frame_id, run)
    found = Measured(curve, image, doubts, ms, positives, confusion, enlarged)
    return found, run, score


def official_scores(score: np.ndarray, *, enlarged: bool = False) -> np.ndarray:
    """Return the scores as the benchmark judges them.

    They are in half precision, as a submission holds them, and too large ones are inf. What it has
    `enlarged` itself, from narrower maps, stays in single precision.
    """
    if enlarged:
        return score
    with np.errstate(over="ignore"):
        return score.astype(np.float16)
