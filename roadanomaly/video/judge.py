"""From the scores of a frame to what is on it: smoothing, two thresholds, tracking."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from roadanomaly.calibration import Calibration
from roadanomaly.errors import OptionError
from roadanomaly.objects import find_components
from roadanomaly.runtimes import Scores
from roadanomaly.types import Component
from roadanomaly.video.frames import Event, Judged, VideoFrame
from roadanomaly.video.ground import stands_on
from roadanomaly.video.guard import RateGuard
from roadanomaly.video.temporal import Motion, Smoother
from roadanomaly.video.tracking import Persistence, Tracker


@dataclass(frozen=True)
class Rules:
    """What counts as an object.

    Args:
        high: an object must have a score above it.
        low: it reaches as far as scores lie above this.
        min_area: pixels at the network's size.
        smooth_s: time constant of the scores' running mean; 0 smooths nothing.
        motion: `flow` moves the mean along with the picture.
        persistence: when an object becomes an event and when that ends.
        ground: indices of the classes that an object must stand on; none: it may be anywhere.
        rates: shares of pixels that the two thresholds state, the high one's first.
        guard_s: time over which these rates are kept on the video itself; 0 does not (`RateGuard`).
    """

    high: float
    low: float
    min_area: int = 100
    smooth_s: float = 0.04
    motion: Motion = "none"
    persistence: Persistence = field(default_factory=Persistence)
    ground: tuple[int, ...] = ()
    rates: tuple[float, float] = (0.01, 0.03)
    guard_s: float = 0.0


def thresholds(calibration: Calibration, widen: float = 3.0) -> tuple[float, float]:
    """Return the high threshold, the calibration's, and the low one.

    Args:
        calibration: of the model.
        widen: the low threshold is what so many times as many inlier pixels exceed.

    Raises:
        OptionError: `widen` below 1.
    """
    if widen < 1:
        msg = f"--widen must be at least 1, not {widen:g}; 1 means one threshold."
        raise OptionError(msg)
    high = calibration.threshold
    return high, min(high, calibration.threshold_at(stated_rates(calibration, widen)[1]))


def stated_rates(calibration: Calibration, widen: float = 3.0) -> tuple[float, float]:
    """Return the shares of inlier pixels that exceed the high threshold and the low one.

    A threshold that is not set by a rate has one all the same, as near as the data can tell.
    """
    by_rate = calibration.way == "rate"
    rate = (calibration if by_rate else calibration.at_score(calibration.threshold)).rate
    return rate, min(1.0, rate * widen)


def find_objects(
    scores: Scores, rules: Rules, expects: Callable[[Component], bool] | None = None
) -> tuple[np.ndarray, list[Component]]:
    """Find what counts as an object on one frame.

    Args:
        scores: of the frame.
        rules: what counts.
        expects: whether an object that is followed could be where a region is; such a region needs
            no score above the high threshold.

    Returns:
        the mask `(H, W)` bool, and its regions.
    """

    def accept(component: Component, above: np.ndarray) -> bool:
        if component.max_score <= rules.high and not (expects and expects(component)):
            return False
        if not rules.ground:
            return True
        assert scores.classes is not None
        return stands_on(component, above, scores.classes, rules.ground)

    return find_components(scores.score, rules.low, rules.min_area, accept=accept)


MOST_PEAKS = 16
"""Frames that are kept for objects that are no alarm yet; the oldest are given up first."""


class Judge:
    """Holds what must be remembered from frame to frame.

    Args:
        rules: what counts as an object. They may be replaced between two frames.

    Attributes:
        keeps_peaks: whether `at_peak` is going to be asked, which takes memory.
    """

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.keeps_peaks = False
        self._peaks: dict[int, Judged] = {}
        self._smoother = Smoother(rules.smooth_s, rules.motion)
        self._guard = RateGuard(rules.guard_s)
        self._tracker = Tracker(rules.persistence)

    def __call__(self, frame: VideoFrame, scores: Scores) -> Judged:
        """Judge the next frame."""
        self._drop_peaks()
        score = self._smoother(scores.score, frame.image, frame.time_s)
        smoothed = replace(scores, score=score)
        rules = self.rules
        high, low = self._guard(score, frame.time_s, (rules.high, rules.low), rules.rates)
        expects = partial(self._tracker.expects, time_s=frame.time_s)
        mask, components = find_objects(smoothed, replace(rules, high=high, low=low), expects)
        sightings, ended = self._tracker.update(frame, components, high)
        judged = Judged(frame, smoothed, mask, components, sightings, ended)
        if self.keeps_peaks and frame.number in self._tracker.pending_peaks:
            self._peaks[frame.number] = judged
        return judged

    def at_peak(self, event: Event, judged: Judged) -> Judged:
        """Return the frame of an event's peak, which may lie before its alarm.

        Asked on each frame, it is the event's own: `judged` where the peak is now, and a frame of
        before where the alarm begins now. One that was given up for want of memory is `judged`.
        """
        return self._peaks.get(event.peak_frame, judged)

    def _drop_peaks(self) -> None:
        """Let go of the frames that no alarm can begin with any more."""
        wanted = self._tracker.pending_peaks
        held = [number for number in self._peaks if number in wanted][1 - MOST_PEAKS :]
        self._peaks = {number: self._peaks[number] for number in held}

    @property
    def open_events(self) -> list[Event]:
        """Alarms that are on."""
        return self._tracker.open_events

    def close(self) -> list[Event]:
        """End all alarms."""
        return self._tracker.close()
