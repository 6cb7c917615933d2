"""What half precision changes: some frames are scored in float32 too, and both are compared."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from roadanomaly.evaluation.evaluate import seed_of
from roadanomaly.evaluation.findings import PrecisionEffect
from roadanomaly.evaluation.job import Job
from roadanomaly.evaluation.measure import official_scores
from roadanomaly.evaluation.sources import NetworkScores
from roadanomaly.evaluation.spool import FrameSpool
from roadanomaly.metrics.agreement import Agreement
from roadanomaly.metrics.exact import PixelExact


def check_precision(job: Job, folder: Path, count: int) -> dict[str, PrecisionEffect]:
    """Score some frames in float32, and compare them with the scores that were kept of them.

    Args:
        job: of a network; evaluated.
        folder: where its scored frames are kept.
        count: of the frames that show an anomaly (of all frames where none does), evenly spaced.

    Returns:
        by detector.
    """
    assert isinstance(job.source, NetworkScores)
    source, spool = job.source.exact(), FrameSpool(folder)
    compared = {name: (PixelExact(), PixelExact(), Agreement()) for name in job.detectors}
    for number in _spread(job, spool, count):
        frame = job.frames[number]
        (found,) = source.score_together([frame], [seed_of(job, number)])
        truth = spool.maps(number).truth
        for column, (name, (before, after, agreement)) in enumerate(compared.items()):
            exact, kept = found.scores[name], spool.score(number, column)
            exact = official_scores(exact) if job.mode == "official" else exact
            before.update(frame.id, exact, truth)
            after.update(frame.id, kept, truth)
            agreement.update(exact, kept)
    return {name: _effect(*three) for name, three in compared.items()}


def _spread(job: Job, spool: FrameSpool, count: int) -> list[int]:
    """Return the numbers of frames to compare."""
    every = range(len(job.frames))
    showing = [n for n in every if spool.measured(n, 0).image.positives] or list(every)
    places = np.linspace(0, len(showing) - 1, min(count, len(showing))).round().astype(int)
    return [showing[place] for place in places]


def _effect(before: PixelExact, after: PixelExact, agreement: Agreement) -> PrecisionEffect:
    one, other = before.compute(), after.compute()
    ranks = agreement.rank_correlation()
    return PrecisionEffect(
        frames=agreement.frames,
        ap_f32=one.ap,
        ap=other.ap,
        fpr95_f32=one.fpr95,
        fpr95=other.fpr95,
        largest_difference=agreement.largest,
        rank_correlation=float("nan") if ranks is None else ranks,
    )
