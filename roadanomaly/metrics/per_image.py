"""Pixel metrics of each image by itself, averaged; and ISSU's TPR at 5 % FPR.

StreetHazards and BDD-Anomaly are reported this way since Hendrycks et al., 2022, Scaling
Out-of-Distribution Detection for Real-World Settings; the pooled numbers differ a lot.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from roadanomaly.errors import OptionError
from roadanomaly.metrics.checks import check_frame
from roadanomaly.metrics.curve import PixelResult
from roadanomaly.metrics.exact import pool_runs
from roadanomaly.metrics.keyed import ByFrame, FrameId
from roadanomaly.metrics.runs import Run, frame_run


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


@dataclass(frozen=True)
class PerImageResult:
    """Means over the images in which a value is defined.

    Args:
        ap: mean average precision.
        auroc: mean area under the ROC curve.
        fpr95: mean FPR at 95 % TPR.
        images: one entry an image, in the order of their ids.
        defined: images with both anomaly and inlier pixels.
    """

    ap: float
    auroc: float
    fpr95: float
    images: tuple[ImageScore, ...]
    defined: int


def image_score(frame_id: FrameId, score: np.ndarray, label: np.ndarray) -> ImageScore:
    """Score one image by a full sort; arguments and errors as `PerImage.update`."""
    return run_score(frame_id, frame_run(*check_frame(frame_id, score, label)))


def run_score(frame_id: FrameId, run: Run) -> ImageScore:
    """Score one image from its sorted scores."""
    found = pool_runs([run], thin=True)
    return ImageScore(
        frame_id, found.ap, found.auroc, found.fpr95, found.positives, found.negatives
    )


class PerImage:
    """Metrics of each image, averaged with equal weights; keeps six numbers an image."""

    def __init__(self) -> None:
        self._images: ByFrame[ImageScore] = ByFrame()

    def update(self, frame_id: FrameId, score: np.ndarray, label: np.ndarray) -> None:
        """Count one image.

        Args:
            frame_id: unique name.
            score: `(H, W)` float16, float32 or float64.
            label: `(H, W)` uint8 of 0 inlier, 1 anomaly, 255 ignore.

        Raises:
            DataError: the frame cannot be scored, or was counted before.
        """
        self._images.add(frame_id, image_score(frame_id, score, label))

    def merge(self, other: PerImage) -> None:
        """Take over the images of another process."""
        self._images.merge(other._images)

    def compute(self) -> PerImageResult:
        """Average all images so far; NaN where no image defines a value."""
        images = tuple(self._images.in_order())
        return PerImageResult(
            ap=_nan_mean([image.ap for image in images]),
            auroc=_nan_mean([image.auroc for image in images]),
            fpr95=_nan_mean([image.fpr95 for image in images]),
            images=images,
            defined=sum(image.positives > 0 and image.negatives > 0 for image in images),
        )


def _nan_mean(values: list[float]) -> float:
    present = [value for value in values if not np.isnan(value)]
    return float(np.mean(present)) if present else float("nan")


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
