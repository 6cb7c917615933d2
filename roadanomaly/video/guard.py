"""Thresholds that keep their stated rate on the very video that is watched."""

from __future__ import annotations

import numpy as np

from roadanomaly.errors import OptionError

SAMPLE = 50_000
"""Pixels of a frame, about, that its quantiles are taken from."""


Pair = tuple[float, float]
"""Of the high threshold and of the low one."""


class RateGuard:
    """Raises thresholds where a video is stranger to the model than its calibration was.

    A threshold that a share `r` of inlier pixels exceeds on the calibration's data may be exceeded
    by ten times as many on another road: by shadows, pavement of another kind, another camera. An
    anomaly is rare, so over some time about a share `r` of all pixels should lie above the
    threshold. The threshold is therefore the larger of the calibration's and the running mean of
    the frames' own quantiles at `1 - r`. It never falls below the calibration's, so a quiet road
    raises no alarm.

    Args:
        seconds: time constant of the running mean; 0 leaves the thresholds as they are. At first,
            the mean is over what there was of the video.

    Raises:
        OptionError: a negative time.
    """

    def __init__(self, seconds: float) -> None:
        if not seconds >= 0:
            msg = f"--guard_s must not be negative, as {seconds:g} is; 0 turns the guard off."
            raise OptionError(msg)
        self.seconds = seconds
        self._mean: np.ndarray | None = None
        self._rates: Pair = (0.0, 0.0)
        self._begun_s = self._last_s = 0.0

    def __call__(self, score: np.ndarray, time_s: float, thresholds: Pair, rates: Pair) -> Pair:
        """Return the thresholds for a frame, with its own scores in the mean.

        Args:
            score: `(H, W)` of the frame.
            time_s: its time.
            thresholds: the calibration's.
            rates: what they state.
        """
        if self.seconds == 0:
            return thresholds
        step = max(1, round((score.size / SAMPLE) ** 0.5))
        own = np.quantile(score[::step, ::step], [1 - rate for rate in rates])
        if self._mean is None or rates != self._rates or time_s < self._last_s:
            self._mean, self._rates, self._begun_s = own, rates, time_s
        else:
            passed = time_s - self._last_s
            memory = min(self.seconds, self._last_s - self._begun_s + passed)
            share = passed / (memory + passed) if passed else 0.0
            self._mean = (1 - share) * self._mean + share * own
        self._last_s = time_s
        high, low = np.maximum(thresholds, self._mean)
        return float(high), float(low)
