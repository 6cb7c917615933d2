"""Pixel metrics of each image by itself, averaged; and ISSU's TPR at 5 % FPR.

StreetHazards and BDD-Anomaly are reported this way since Hendrycks et al., 2022, Scaling
Out-of-Distribution Detection for Real-World Settings; the pooled numbers differ a lot.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from roadanomaly.errors import OptionError
from roadanomaly.metrics.curve import PixelResult
from roadanomaly.metrics.exact import pool_runs
from roadanomaly.metrics.keyed import FrameId
from roadanomaly.metrics.runs import Run


@dataclass(frozen=True)
class ImageScore:
    """Exact pixel metrics of one image; fractions, NaN where undefined.

    Args:
        frame_id: its name.
        ap: average precision; NaN without an anomaly pixel.
        auroc: NaN unless both kinds of pixels occur.
        fpr95: FPR at the first point with TPR >= 0.95; NaN unless both kinds occur.
        positives: anomaly pixels.
        negatives: inlier pixels.
    """

    frame_id: FrameId
    ap: float
    auroc: float
    fpr95: float
    positives: int
    negatives: int


def run_score(frame_id: FrameId, run: Run) -> ImageScore:
    """Score one image from its sorted scores."""
    found = pool_runs([run], thin=True)
    return ImageScore(
        frame_id, found.ap, found.auroc, found.fpr95, found.positives, found.negatives
    )


def mean_of_images(images: Sequence[ImageScore]) -> dict[str, float]:
    """Average `ap`, `auroc` and `fpr95`, each with equal weights over the images that define it.

    Returns:
        by name; NaN where no image defines the number.
    """
    means = {}
    for name in ("ap", "auroc", "fpr95"):
        values = np.array([getattr(one, name) for one in images])
        defined = values[~np.isnan(values)]
        means[name] = float(defined.mean()) if defined.size else float("nan")
    return means


def tpr_at_fpr(result: PixelResult, fpr: float = 0.05) -> float:
    """Return TPR at the first point of a curve whose FPR is `>= fpr`, not interpolated.

    This is how ISSU (Nekrasov et al., 2025) reads its TPR at 5 % FPR off the curve.

    Args:
        result: pooled pixel metrics, official or exact; of a thinned curve the value is right
            at multiples of 0.005.
        fpr: in [0, 1].

    Returns:
        A fraction; NaN where the curve is undefined.

    Raises:
        OptionError: `fpr` is outside its range.
    """
    if not 0 <= fpr <= 1:
        msg = f"the false-positive rate is {fpr}; it must lie in [0, 1], and ISSU takes 0.05."
        raise OptionError(msg)
    if result.positives == 0 or result.negatives == 0:
        return float("nan")
    return float(result.tpr[np.searchsorted(result.fpr, fpr)])
