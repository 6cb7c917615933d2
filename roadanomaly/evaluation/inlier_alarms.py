"""What thresholds raise on the frames that set them: pixels above, and false objects a frame."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from roadanomaly.calibration import Calibration
from roadanomaly.data.base import FrameSet
from roadanomaly.errors import OptionError
from roadanomaly.evaluation.truth import truth_of
from roadanomaly.evaluation.worlds.alarms import GRID, MOST, is_ordinary, lowest_that_leaves
from roadanomaly.inliers import inliers_of
from roadanomaly.metrics import Alarms
from roadanomaly.metrics.component import above
from roadanomaly.types import IGNORE, Frame


@dataclass(frozen=True)
class Raised:
    """What a threshold raises on frames without an anomaly; fractions.

    Args:
        threshold: of scores.
        above: share of the inlier pixels with a score above it.
        false_a_frame: components above it, of at least 500 pixels, a frame; NaN where frames have
            no labels, so that nobody knows what in them is false.
        clean: share of the frames without one; NaN likewise.
    """

    threshold: float
    above: float
    false_a_frame: float
    clean: float


class KeptScores:
    """Scores of the frames that set a threshold, kept in files, to try thresholds on.

    Args:
        folder: empty one, which takes 4 bytes a pixel.
        every: keep the first of so many frames; what is raised is told of those that are kept.
    """

    def __init__(self, folder: Path, every: int = 1) -> None:
        self.folder = folder
        self.every = every
        self.frames = self.inliers = 0
        self.labelled, self.anomaly = True, False

    @property
    def ordinary(self) -> bool:
        """Whether no frame shows an anomaly; where there is one, the scores are no longer kept."""
        return not self.anomaly

    def keep(self, scored: Iterable[tuple[Frame, np.ndarray]]) -> Iterator[np.ndarray]:
        """Yield the scores of each frame's inlier pixels, 1-D float32, and keep frames' scores.

        Args:
            scored: frames with their scores, `(H, W)` float32.
        """
        for number, (frame, score) in enumerate(scored):
            inliers = inliers_of(frame, score)
            truth = None if frame.truth is None else frame.truth.numpy()
            self.labelled = self.labelled and truth is not None
            self.anomaly = self.anomaly or (truth is not None and bool((truth == 1).any()))
            if self.ordinary and number % self.every == 0:
                known = score if truth is None else np.where(truth == 0, score, np.nan)
                np.save(self._path(self.frames), known.astype(np.float32))
                self.frames += 1
                self.inliers += inliers.size
            yield inliers

    def raised(self, threshold: float) -> Raised:
        """Return what a threshold raises on the frames that were kept, all without an anomaly."""
        assert self.ordinary
        alarms, over = Alarms(threshold), 0
        for number in range(self.frames):
            kept = np.load(self._path(number))
            over += int(np.count_nonzero(above(kept, threshold)))
            ignored = np.isnan(kept)
            truth = np.where(ignored, IGNORE, 0).astype(np.uint8)
            alarms.update(str(number), np.where(ignored, np.float32(0), kept), truth)
        found, nan = alarms.compute(), float("nan")
        false, clean = (found.false_a_frame, found.clean_share) if self.labelled else (nan, nan)
        return Raised(threshold, over / self.inliers, false, clean)

    def calibration_that_leaves(self, wanted: float, calibration: Calibration) -> Calibration:
        """Return the calibration with its lowest threshold that leaves few enough false objects.

        It is looked for among rates from 0.2 down to the lowest that the data can tell, evenly
        spaced in their logarithm; at each higher one at most `wanted` is left, too.

        Args:
            wanted: false objects a frame on the kept frames, at most.
            calibration: of their inlier pixels.

        Raises:
            OptionError: even the highest threshold leaves more.
        """
        least = calibration.rates[0]
        rates = np.geomspace(max(MOST, least), least, GRID).tolist()
        grid = [calibration.threshold_at(rate) for rate in rates]
        chosen, left = lowest_that_leaves(wanted, grid, lambda one: self.raised(one).false_a_frame)
        if left > wanted:
            msg = (
                f"--false_objects {wanted:g}: even the highest threshold that these frames can "
                f"tell leaves {left:.3g} false objects a frame on them. Give a larger number, or "
                "set the threshold by --false_alarms."
            )
            raise OptionError(msg)
        return calibration.at(rates[grid.index(chosen)], "rate")

    def _path(self, number: int) -> Path:
        return self.folder / f"{number}.npy"


def require_ordinary_frames(frames: FrameSet) -> None:
    """Refuse frames on which false objects cannot be counted.

    Raises:
        OptionError: one shows an anomaly or has no label, or none has an inlier pixel.
        DataError: a frame cannot be read.
    """
    bare = next((frame.id for frame in frames if frame.truth is None), None)
    if bare is None and is_ordinary(truth_of(frame) for frame in frames):
        return
    lacks = (
        f"frame {bare} of {frames.told} has no label"
        if bare is not None
        else f"{frames.told} shows an anomaly, or holds no inlier pixel"
    )
    msg = (
        f"--false_objects counts on frames that show nothing strange, and {lacks}. Name ordinary "
        "frames, as by --calibration_data FOLDER, or set the threshold by --false_alarms."
    )
    raise OptionError(msg)
