"""From unbounded scores to probabilities of a false alarm, and to a threshold that states one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from roadanomaly.errors import DataError, OptionError, nearest
from roadanomaly.reservoir import Reservoir

WAYS = {"rate": "false-positive rate", "conformal": "conformal", "f1": "validation F1"}
"""How a calibration can set the threshold: short word to the name in tables."""

SENSITIVITIES = ("low", "normal", "high")
"""What named thresholds are called, from the fewest alarms to the most."""

LEVELS = 257
SMALLEST_LEVEL = 1e-6

TOTAL = 8_000_000
"""Inlier pixels that a calibration keeps at most: 64 MB, and 8 above the smallest level."""


@dataclass(frozen=True)
class Calibration:
    """Upper-tail quantiles of the scores of inlier pixels.

    Args:
        rates: increasing false-alarm rates in (0, 1].
        scores: the score that inlier pixels exceed at each rate; not increasing.
        rate: the rate at which `threshold` is set.
        pixels: how many inlier pixels it was taken from: those that were kept.
        data: what they were, for people.
        way: how the threshold is set, a key of `WAYS`.
        f1_threshold: score of the highest pixel F1 on a validation set with anomalies, or None
            where there was none.
        f1_data: what that set was, for people.
        sensitivities: named thresholds that the model's maker chose, by name; often none.
    """

    rates: tuple[float, ...]
    scores: tuple[float, ...]
    rate: float
    pixels: int
    data: str
    way: str = "rate"
    f1_threshold: float | None = None
    f1_data: str = ""
    sensitivities: Mapping[str, float] = field(default_factory=dict, hash=False)

    @property
    def threshold(self) -> float:
        """Score above which a pixel is called an anomaly, as `way` sets it."""
        return self.threshold_by(self.way, self.rate)

    def threshold_by(self, way: str, rate: float) -> float:
        """Return the threshold that one way gives.

        Args:
            way: a key of `WAYS`; `f1` takes no rate.
            rate: false-alarm rate that it may promise.

        Raises:
            OptionError: another way, a rate that the data cannot tell, or no validation F1.
        """
        if way == "rate":
            return self.threshold_at(rate)
        if way == "conformal":
            return self.conformal_threshold(rate)
        if way != "f1":
            msg = f"no threshold is set by {way!r}; {nearest(way, WAYS)}"
            raise OptionError(msg)
        if self.f1_threshold is None:
            msg = (
                "this model knows no threshold of the best F1 on validation data: `roadanomaly "
                "train` with negatives saves one, and so does `fit --validation_data.name SET`."
            )
            raise OptionError(msg)
        return self.f1_threshold

    def conformal_threshold(self, rate: float) -> float:
        """Return the score above which the conformal p-value is at most `rate`.

        With n inlier pixels, `p(s) = (1 + #{s_i >= s}) / (n + 1)` (Song et al., 2018, PixelDefend;
        split conformal prediction): a new inlier pixel that is exchangeable with them exceeds the
        threshold with probability `rate` or less. Of the kept quantiles the nearest that keeps
        this promise is taken, so p is up to 6 % smaller than `rate`. Pixels of one frame are not
        exchangeable with those of another road or camera: the table of thresholds shows it.

        Raises:
            OptionError: a rate that so few pixels cannot promise.
        """
        above = np.ceil((self.pixels - 1) * np.asarray(self.rates))
        kept = np.flatnonzero((1 + above) / (self.pixels + 1) <= rate)
        if not (kept.size and rate < 1):
            smallest = (1 + float(above[0])) / (self.pixels + 1)
            msg = (
                f"a conformal p-value of {rate:g} cannot be told from {self.pixels} inlier "
                f"pixels; give one between {smallest:.2g} and 1, or calibrate on more frames."
            )
            raise OptionError(msg)
        return self.scores[int(kept[-1])]

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
        return np.exp(np.interp(score, *self._rising())).astype(np.float32)

    def at(self, rate: float | None = None, way: str | None = None) -> Calibration:
        """Return the same calibration with its threshold at another rate, or set another way.

        A rate alone ends a threshold of the best F1, which keeps none.

        Raises:
            OptionError: the threshold cannot be set so.
        """
        kept = "rate" if self.way == "f1" and rate is not None else self.way
        changed = replace(self, rate=self.rate if rate is None else rate, way=way or kept)
        changed.threshold_by(changed.way, changed.rate)
        return changed

    def at_score(self, score: float) -> Calibration:
        """Return the same calibration with its threshold at a score, as near as the data can tell.

        Its rate is then the share of inlier pixels above that.
        """
        inside = min(max(score, self.scores[-1]), self.scores[0])
        return self.at(self.rate_at(inside), "rate")

    def rate_at(self, threshold: float) -> float:
        """Return the share of inlier pixels that exceeds a score: what `threshold_at` undoes.

        Raises:
            OptionError: a score beyond those that the data can tell a rate of.
        """
        if not self.scores[-1] <= threshold <= self.scores[0]:
            msg = (
                f"a threshold of {threshold:g} lies beyond the scores of the inlier pixels that "
                f"this model was calibrated on; give one between {self.scores[-1]:.4g} and "
                f"{self.scores[0]:.4g}, or calibrate on more frames."
            )
            raise OptionError(msg)
        rate = float(np.exp(np.interp(threshold, *self._rising())))
        return min(max(rate, self.rates[0]), 1.0)

    def _rising(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the kept scores, increasing, and the logarithm of the largest rate of each."""
        rising, first = np.unique(np.asarray(self.scores)[::-1], return_index=True)
        return rising, np.log(np.asarray(self.rates)[::-1][first])

    def with_sensitivities(self, chosen: Mapping[str, float]) -> Calibration:
        """Return the same calibration with named thresholds.

        Args:
            chosen: name to score, the least sensitive first.

        Raises:
            OptionError: no name that is known, a threshold whose rate cannot be told, or a
                threshold above that of a less sensitive name.
        """
        for name, threshold in chosen.items():
            if name not in SENSITIVITIES:
                msg = f"no sensitivity is called {name!r}; {nearest(name, SENSITIVITIES)}"
                raise OptionError(msg)
            self.rate_at(threshold)
        ordered = {name: float(chosen[name]) for name in SENSITIVITIES if name in chosen}
        if list(ordered.values()) != sorted(ordered.values(), reverse=True):
            told = ", ".join(f"{name} {value:g}" for name, value in ordered.items())
            msg = f"a more sensitive threshold cannot be higher: {told}."
            raise OptionError(msg)
        return replace(self, sensitivities=ordered)

    def with_sensitivities_of(self, other: Calibration, times: float = 1.0) -> Calibration:
        """Return the same calibration with another's named thresholds, by their rates.

        Each lies where the share of inlier pixels above it is that which it had there, or as near
        as the data can tell.

        Args:
            other: calibrated on other frames, or before the scores changed; it may name none.
            times: what its rates are multiplied by.
        """
        rates = {name: times * other.rate_at(one) for name, one in other.sensitivities.items()}
        tellable = {name: min(max(one, self.rates[0]), 1.0) for name, one in rates.items()}
        chosen = {name: self.threshold_at(rate) for name, rate in tellable.items()}
        return self.with_sensitivities(chosen)

    def at_sensitivity(self, name: str) -> Calibration:
        """Return the same calibration with the threshold that its maker gave a name.

        Raises:
            OptionError: the model carries none of that name; says what to use instead.
        """
        if name not in self.sensitivities:
            known = ", ".join(self.sensitivities)
            carries = f"it carries {known}" if known else "it carries no named thresholds"
            msg = (
                f"this model has no sensitivity {name!r}: {carries}. Give a share of inlier pixels "
                "that may exceed the threshold instead: --false_alarms 0.003, or "
                "`calibration.at(0.003)`; `roadanomaly pack --sensitivity` names thresholds."
            )
            raise OptionError(msg)
        return self.at(self.rate_at(self.sensitivities[name]), "rate")

    def with_f1(self, threshold: float, data: str) -> Calibration:
        """Return the same calibration that knows the threshold of the best F1 on other data."""
        return replace(self, f1_threshold=threshold, f1_data=data)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Calibration:
        """Rebuild from `as_dict`."""
        tuples = {key: tuple(values[key]) for key in ("rates", "scores")}
        return cls(**{**values, **tuples})


def just_below(threshold: float) -> float:
    """Return the next lower float32: `score >` it is `score >= threshold` for float32 scores."""
    return float(np.nextafter(np.float32(threshold), np.float32(-np.inf)))


def check_rate(rate: float) -> None:
    """Refuse a false-alarm rate outside (0, 1).

    Raises:
        OptionError: says so.
    """
    if not 0 < rate < 1:
        msg = f"the false-alarm rate must lie between 0 and 1, not {rate:g}."
        raise OptionError(msg)


def calibrate(
    inlier_scores: Iterable[np.ndarray],
    rate: float,
    data: str,
    *,
    per_frame: int = 50_000,
    total: int = TOTAL,
    seed: int = 0,
) -> Calibration:
    """Fit a `Calibration` on the scores of inlier pixels, frame by frame.

    Args:
        inlier_scores: one 1-D array of scores a frame, inlier pixels only.
        rate: false-alarm rate of the threshold, in (0, 1).
        data: what the frames are, for the record.
        per_frame: at most so many pixels of a frame are kept, drawn without replacement.
        total: of these, at most so many are kept over all frames, drawn alike; 8 bytes each.
        seed: of both draws.

    Raises:
        OptionError: a rate outside (0, 1).
        DataError: no inlier pixel at all, or scores that are not finite.
    """
    check_rate(rate)
    rng = np.random.default_rng(seed)
    reservoir = Reservoir(total, seed)
    for scores in inlier_scores:
        drawn = scores if len(scores) <= per_frame else rng.choice(scores, per_frame, replace=False)
        if not np.isfinite(drawn).all():
            msg = (
                f"some scores of inlier pixels of {data} are not finite; the model cannot be used."
            )
            raise DataError(msg)
        reservoir.add(drawn)
    pooled = reservoir.values()
    if not len(pooled):
        msg = f"no inlier pixel to calibrate on in {data}; give frames with labelled inliers."
        raise DataError(msg)
    smallest = max(SMALLEST_LEVEL, 1 / len(pooled))
    rates = np.geomspace(smallest, 1.0, LEVELS)
    scores_at = np.quantile(pooled, 1 - rates)
    usable = min(max(rate, smallest), 1.0)
    return Calibration(tuple(rates.tolist()), tuple(scores_at.tolist()), usable, len(pooled), data)
