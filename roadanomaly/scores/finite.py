"""Scores that are no numbers rank nothing: they are refused with the name of their frame."""

from __future__ import annotations

import numpy as np

from roadanomaly.errors import DataError


def require_finite(score: np.ndarray, what: str) -> None:
    """Refuse a map with a score that is NaN or infinite.

    Args:
        score: `(H, W)` float, on the CPU.
        what: whose scores, of which frame.

    Raises:
        DataError: says how many there are.
    """
    if not score.size or (np.isfinite(score.min()) and np.isfinite(score.max())):
        return
    nan, infinite = int(np.isnan(score).sum()), int(np.isinf(score).sum())
    msg = (
        f"{what}: {nan} of {score.size} scores are NaN and {infinite} infinite, so they rank "
        "nothing. The model's training may have diverged: use an earlier checkpoint; or the "
        "precision is too low: take --precision f32."
    )
    raise DataError(msg)
