"""From unbounded scores to probabilities of a false alarm, and to a threshold that states one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from roadanomaly.errors import DataError, OptionError

LEVELS = 257
SMALLEST_LEVEL = 1e-6


@dataclass(frozen=True)
class Calibration:
    """Upper-tail quantiles of the scores of inlier pixels.

    Args:
        rates: increasing false-alarm rates in (0, 1].
        scores: the score that inlier pixels exceed at each rate; not increasing.
        rate: the rate at which `threshold` is set.
        pixels: how many inlier pixels it was taken from.
        data: what they were, for people.
    """

    rates: tuple[float, ...]
    scores: tuple[float, ...]
    rate: float
    pixels: int
    data: str

    @property
    def threshold(self) -> float:
        """Score that a share `rate` of inlier pixels exceeds."""
        return self.threshold_at(self.rate)

    def threshold_at(self, rate: float) -> float:
        """Return the score that a share `rate` of inlier pixels exceeds.

        Raises:
            OptionError: a rate outside what the data can tell, `1 / pixels` to 1.
        """
        if not self.rates[0] <= rate <= 1:
            msg = (
                f"a false-alarm rate of {rate:g} cannot be told from {self.pixels} inlier pixels; "
                f"give one between {self.rates[0]:.2g} and 1, or calibrate on more frames."
            )
            raise OptionError(msg)
        return float(np.interp(np.log(rate), np.log(self.rates), self.scores))

    def p_value(self, score: np.ndarray) -> np.ndarray:
        """Share of inlier pixels with at least this score, same shape, float32 in (0, 1]."""
        rising, first = np.unique(np.asarray(self.scores)[::-1], return_index=True)
        rates = np.log(np.asarray(self.rates)[::-1][first])  # the largest of equal scores
        return np.exp(np.interp(score, rising, rates)).astype(np.float32)

    def at(self, rate: float) -> Calibration:
        """Return the same calibration with its threshold at another false-alarm rate."""
        self.threshold_at(rate)
        return Calibration(self.rates, self.scores, rate, self.pixels, self.data)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Calibration:
        """Rebuild from `as_dict`."""
        tuples = {key: tuple(values[key]) for key in ("rates", "scores")}
        return cls(**{**values, **tuples})


def calibrate(
    inlier_scores: Iterable[np.ndarray],
    rate: float,
    data: str,
    *,
    per_frame: int = 50_000,
    seed: int = 0,
) -> Calibration:
    """Fit a `Calibration` on the scores of inlier pixels, frame by frame.

    Args:
        inlier_scores: one 1-D array of scores a frame, inlier pixels only.
        rate: false-alarm rate of the threshold, in (0, 1).
        data: what the frames are, for the record.
        per_frame: at most so many pixels of a frame are kept, drawn without replacement.
        seed: of that draw.

    Raises:
        OptionError: a rate outside (0, 1).
        DataError: no inlier pixel at all, or scores that are not finite.
    """
    if not 0 < rate < 1:
        msg = f"the false-alarm rate must lie between 0 and 1, not {rate:g}."
        raise OptionError(msg)
    rng = np.random.default_rng(seed)
    kept = []
    for scores in inlier_scores:
        drawn = scores if len(scores) <= per_frame else rng.choice(scores, per_frame, replace=False)
        kept.append(np.asarray(drawn, dtype=np.float64))
    pooled = np.concatenate(kept) if kept else np.empty(0)
    if not len(pooled):
        msg = f"no inlier pixel to calibrate on in {data}; give frames with labelled inliers."
        raise DataError(msg)
    if not np.isfinite(pooled).all():
        msg = f"some scores of inlier pixels of {data} are not finite; the model cannot be used."
        raise DataError(msg)
    smallest = max(SMALLEST_LEVEL, 1 / len(pooled))
    rates = np.geomspace(smallest, 1.0, LEVELS)
    scores_at = np.quantile(pooled, 1 - rates)
    usable = min(max(rate, smallest), 1.0)
    return Calibration(tuple(rates.tolist()), tuple(scores_at.tolist()), usable, len(pooled), data)
