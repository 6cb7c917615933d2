"""How far a number can be trusted: bootstrap intervals over frames, and paired differences.

Source: Efron and Tibshirani, 1993, An Introduction to the Bootstrap, chapter 13 (percentiles).
Frames are drawn with replacement; a frame's pixels and components always stay together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from roadanomaly.errors import DataError, OptionError
from roadanomaly.metrics.component import TAUS, FrameObjects
from roadanomaly.metrics.curve import summarise
from roadanomaly.metrics.keyed import FrameId
from roadanomaly.metrics.pixel import FrameCurve, collapsed

Statistic = Callable[[np.ndarray], dict[str, float]]
"""Numbers of a data set in which frame i occurs `weights[i]` times; `(N,)` int64."""


@dataclass(frozen=True)
class Interval:
    """A number and where it may lie; in its own unit.

    Args:
        value: on all frames, each once.
        low: lower end of the interval.
        high: upper end.
        resamples: draws in which the number was defined.
    """

    value: float
    low: float
    high: float
    resamples: int


@dataclass(frozen=True)
class Difference(Interval):
    """Second minus first run, on the same frames.

    Args:
        p: two-sided share of draws in which the difference has the other sign or is zero, 0..1;
            small where the runs differ whatever frames are drawn.
    """

    p: float


def in_order(frames: Mapping[FrameId, object]) -> list[FrameId]:
    """Sort frame ids as the metrics do: numbers before words."""
    return sorted(frames, key=lambda frame_id: (isinstance(frame_id, str), frame_id))


class PixelStatistic:
    """Pooled official pixel metrics of any weighting of frames, from their curves.

    With all weights 1 these are the numbers of `pool_curves`.

    Args:
        curves: one a frame.

    Raises:
        DataError: no frame.
    """

    def __init__(self, curves: Mapping[FrameId, FrameCurve]) -> None:
        _check_any(curves)
        self.ids = in_order(curves)
        ordered = [curves[frame_id] for frame_id in self.ids]
        thresholds = np.concatenate([curve.thresholds for curve in ordered])
        highest_first = np.argsort(thresholds, kind="stable")[::-1]
        sizes = [curve.thresholds.size for curve in ordered]
        self._frame = np.repeat(np.arange(len(ordered)), sizes)[highest_first]
        self._thresholds = thresholds[highest_first]
        self._tp = np.concatenate([curve.tp for curve in ordered])[highest_first]
        self._fp = np.concatenate([curve.fp for curve in ordered])[highest_first]

    def __call__(self, weights: np.ndarray) -> dict[str, float]:
        """Return `ap`, `auroc`, `fpr95` and `best_f1`; NaN where a class of pixels is absent."""
        weight = weights[self._frame]
        drawn = weight > 0
        thresholds = self._thresholds[drawn]
        tp = (self._tp * weight)[drawn].cumsum()
        fp = (self._fp * weight)[drawn].cumsum()
        if tp.size == 0 or tp[-1] == 0 or fp[-1] == 0:
            return dict.fromkeys(("ap", "auroc", "fpr95", "best_f1"), float("nan"))
        result = summarise(*collapsed(thresholds, tp, fp), int(tp[-1]), int(fp[-1]))
        return {
            "ap": result.ap,
            "auroc": result.auroc,
            "fpr95": result.fpr95,
            "best_f1": result.best_f1,
        }


class ComponentStatistic:
    """Component metrics of any weighting of frames; the pixel threshold stays as it was.

    With all weights 1 these are the numbers of `numbers_of`; without `curves`, of
    `summarise_objects`.

    Args:
        objects: matched components of each frame.
        curves: of the same frames, which say whether a draw shows both kinds of pixels.

    Raises:
        DataError: no frame.
    """

    def __init__(
        self,
        objects: Mapping[FrameId, FrameObjects],
        curves: Mapping[FrameId, FrameCurve] | None = None,
    ) -> None:
        _check_any(objects)
        self.ids = in_order(objects)
        frames = [objects[frame_id] for frame_id in self.ids]
        ordered = [curves[frame_id] for frame_id in self.ids] if curves else []
        self._pixels = np.array([(curve.tp.sum(), curve.fp.sum()) for curve in ordered])
        self._truths = np.array([frame.siou.size for frame in frames])
        self._predictions = np.array([frame.ppv.size for frame in frames])
        self._siou = np.array([frame.siou.sum() for frame in frames])
        self._ppv = np.array([frame.ppv.sum() for frame in frames])
        self._tp = np.stack([(frame.siou >= TAUS[:, None]).sum(1) for frame in frames])
        self._fp = np.stack([(frame.ppv < TAUS[:, None]).sum(1) for frame in frames])

    def __call__(self, weights: np.ndarray) -> dict[str, float]:
        """Return `siou`, `ppv` and `f1`; NaN of nothing, and where a class of pixels is absent."""
        if self._pixels.size and not (weights @ self._pixels).all():
            return dict.fromkeys(("siou", "ppv", "f1"), float("nan"))
        truths, predictions = weights @ self._truths, weights @ self._predictions
        tp, fp = weights @ self._tp, weights @ self._fp
        nan = float("nan")
        counted = tp + truths + fp
        return {
            "siou": float(weights @ self._siou / truths) if truths else nan,
            "ppv": float(weights @ self._ppv / predictions) if predictions else nan,
            "f1": float((2 * tp / counted).mean()) if counted.all() else nan,
        }


def bootstrap(
    statistic: PixelStatistic | ComponentStatistic,
    generator: np.random.Generator,
    resamples: int = 1000,
    confidence: float = 0.95,
) -> dict[str, Interval]:
    """Return a percentile interval of each number of `statistic`.

    Args:
        statistic: of the frames.
        generator: draws the frames.
        resamples: how many draws, at least 1.
        confidence: share of draws inside the interval, in (0, 1).

    Raises:
        OptionError: an option outside its range.
    """
    _check_options(resamples, confidence)
    count = len(statistic.ids)
    value = statistic(np.ones(count, np.int64))
    draws = [statistic(weights) for weights in _draw(generator, count, resamples)]
    return {
        name: Interval(value[name], *_ends([draw[name] for draw in draws], confidence))
        for name in value
    }


def bootstrap_difference(
    first: PixelStatistic | ComponentStatistic,
    second: PixelStatistic | ComponentStatistic,
    generator: np.random.Generator,
    resamples: int = 1000,
    confidence: float = 0.95,
) -> dict[str, Difference]:
    """Return an interval of second minus first; both see the same frames in each draw.

    Args:
        first: one run.
        second: another run on the same frames, of the same kind of numbers.
        generator: draws the frames.
        resamples: how many draws, at least 1.
        confidence: share of draws inside the interval, in (0, 1).

    Raises:
        OptionError: an option outside its range.
        DataError: the runs were scored on different frames.
    """
    _check_options(resamples, confidence)
    _check_paired(first.ids, second.ids)
    count = len(first.ids)
    weightings = [np.ones(count, np.int64), *_draw(generator, count, resamples)]
    before, after = ([run(weights) for weights in weightings] for run in (first, second))
    found = {}
    for name in before[0].keys() & after[0].keys():
        steps = np.array([b[name] - a[name] for a, b in zip(before, after, strict=True)])
        low, high, defined = _ends(steps[1:], confidence)
        found[name] = Difference(float(steps[0]), low, high, defined, _p_value(steps[1:]))
    return {name: found[name] for name in before[0] if name in found}


def _draw(generator: np.random.Generator, count: int, resamples: int) -> np.ndarray:
    """Draw `(resamples, count)` int64, how often each frame occurs in each draw."""
    return generator.multinomial(count, np.full(count, 1 / count), size=resamples)


def _ends(values: list[float] | np.ndarray, confidence: float) -> tuple[float, float, int]:
    defined = np.asarray(values)[~np.isnan(values)]
    if defined.size == 0:
        return float("nan"), float("nan"), 0
    tail = (1 - confidence) / 2
    low, high = np.quantile(defined, [tail, 1 - tail])
    return float(low), float(high), int(defined.size)


def _p_value(steps: np.ndarray) -> float:
    """Return `2 min(P(step <= 0), P(step >= 0))`, each with one draw added so that none is 0."""
    defined = steps[~np.isnan(steps)]
    tails = min((defined <= 0).sum(), (defined >= 0).sum())
    return float(min(1.0, 2 * (tails + 1) / (defined.size + 1)))


def _check_any(frames: Mapping[FrameId, object]) -> None:
    if not frames:
        msg = "there is no frame to draw from; score at least one frame first."
        raise DataError(msg)


def _check_paired(first: list[FrameId], second: list[FrameId]) -> None:
    if first != second:
        alone = sorted(map(str, set(first) ^ set(second)))
        msg = (
            f"the two runs share {len(set(first) & set(second))} frames, but {len(alone)} belong "
            f"to one only ({', '.join(alone[:3])}); score both on the same frames, then compare."
        )
        raise DataError(msg)


def _check_options(resamples: int, confidence: float) -> None:
    if resamples < 1:
        msg = f"`resamples` is {resamples}; it must be at least 1, and 1000 is usual."
        raise OptionError(msg)
    if not 0 < confidence < 1:
        msg = f"`confidence` is {confidence}; it must lie between 0 and 1, and 0.95 is usual."
        raise OptionError(msg)
