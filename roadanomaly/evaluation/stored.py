"""Score a folder of stored score maps against a data set, as if a detector had just made them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from roadanomaly.data.base import FrameSet
from roadanomaly.errors import DataError
from roadanomaly.evaluation.evaluate import Evaluation, Row, official_scores
from roadanomaly.metrics.checks import check_name
from roadanomaly.metrics.component import SIZE_RULES, Components
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
        truth = _truth(frames, frame)
        score = scores.read(frame.id, truth.shape)
        doubts.update(score)
        official.update(frame.id, official_scores(score), truth)
        exact.update(frame.id, score, truth)
        truths[frame.id] = truth
        if seen:
            seen(frame, {name: score})
    pixel = official.compute()
    components = Components(track, pixel.best_f1_threshold, mode="official")
    for frame_id, truth in truths.items():
        components.update(frame_id, official_scores(scores.read(frame_id, truth.shape)), truth)
    found = components.compute()
    row = Row(
        detector=name,
        supervision="unknown",
        ap=pixel.ap,
        ap_exact=exact.compute().ap,
        fpr95=pixel.fpr95,
        auroc=pixel.auroc,
        best_f1=pixel.best_f1,
        siou=found.siou,
        ppv=found.ppv,
        f1=found.f1,
        ms=float("nan"),
    )
    evaluation = Evaluation(frames.record(), track, len(truths), (row,), None, {})
    return evaluation, doubts.warnings()


def _ids(frames: FrameSet) -> list[str]:
    """Return the ids of all frames; sets that list theirs are not read for it."""
    listed = getattr(frames, "ids", None)
    return list(listed) if listed is not None else [frame.id for frame in frames]


def _truth(frames: FrameSet, frame: Frame) -> np.ndarray:
    if frame.truth is None:
        why = frames.hidden(frame.id) or "it has no label."
        msg = f"frame {frame.id} cannot be scored: {why}"
        raise DataError(msg)
    return frame.truth.numpy()
