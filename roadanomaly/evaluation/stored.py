"""Score a folder of stored score maps against a data set, as if a detector had just made them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from roadanomaly.data.base import FrameSet
from roadanomaly.evaluation.evaluate import Evaluation, make_row, official_scores, truth_of
from roadanomaly.metrics.checks import check_name
from roadanomaly.metrics.component import SIZE_RULES
from roadanomaly.metrics.pixel import PixelExact, PixelOfficial
from roadanomaly.scores import ScoreDoubts, ScoreFolder
from roadanomaly.types import Frame


def evaluate_stored(
    scores: ScoreFolder,
    frames: FrameSet,
    *,
    name: str,
    track: str = "anomaly",
    seen: Callable[[Frame, dict[str, np.ndarray]], None] | None = None,
) -> tuple[Evaluation, tuple[str, ...]]:
    """Score maps that lie on disk; each is read twice, so memory does not grow in official mode.

    Args:
        scores: maps by frame id, at the size of the image or narrower.
        frames: labelled frames.
        name: of the row in the table.
        track: size rules of the component metrics, `anomaly` or `obstacle`.
        seen: called after each frame with its score, for pictures and progress.

    Returns:
        the evaluation, and what makes its numbers doubtful, a sentence each.

    Raises:
        UnknownName: another track.
        DataError: a map is missing, superfluous or cannot be used, or a frame has no truth.
    """
    check_name("track", track, SIZE_RULES)
    truths: dict[str, np.ndarray] = {}
    doubts, official, exact = ScoreDoubts(), PixelOfficial(), PixelExact()
    scores.check(_ids(frames))
    for frame in frames:
        truth = truth_of(frames, frame)
        score = scores.read(frame.id, truth.shape)
        doubts.update(score)
        official.update(frame.id, official_scores(score), truth)
        exact.update(frame.id, score, truth)
        truths[frame.id] = truth
        if seen:
            seen(frame, {name: score})
    again = (
        (frame_id, official_scores(scores.read(frame_id, truth.shape)), truth)
        for frame_id, truth in truths.items()
    )
    row = make_row(name, "unknown", official, exact, again, track, float("nan"))
    evaluation = Evaluation(frames.record(), track, len(truths), (row,), None, {})
    return evaluation, doubts.warnings()


def _ids(frames: FrameSet) -> list[str]:
    """Return the ids of all frames; sets that list theirs are not read for it."""
    listed = getattr(frames, "ids", None)
    return list(listed) if listed is not None else [frame.id for frame in frames]
