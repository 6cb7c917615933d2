"""What thresholds raise on the frames that set them: pixels above, and false objects a frame."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from roadanomaly.calibration import Calibration
from roadanomaly.data.base import FrameSet
from roadanomaly.errors import OptionError, UserError
from roadanomaly.evaluation.truth import truth_of
from roadanomaly.evaluation.worlds.alarms import GRID, MOST, is_ordinary, lowest_that_leaves
from roadanomaly.inliers import inliers_of
from roadanomaly.metrics import Alarms
from roadanomaly.metrics.component import above
from roadanomaly.progress import counting
from roadanomaly.types import IGNORE, Frame


@dataclass(frozen=True)
class Raised:
    """What a threshold raises on frames without an anomaly; fractions.

    Args:
        threshold: of scores.
        above: share of the inlier pixels with a score above it; NaN where there are none.
        false_a_frame: components above it, of at least 500 pixels, a frame; NaN where frames have
            no labels, so that nobody knows what in them is false.
        clean: share of the frames without one; NaN likewise.
    """

    threshold: float
    above: float
    false_a_frame: float
    clean: float


class KeptScores:
    """Scores of the frames that set a threshold, kept in temporary files to try thresholds on.

    They take 4 bytes a pixel, until the block that this is used in ends.

    Args:
        total: frames that there will be.
        every: keep the first of so many frames; what is raised is told of those that are kept.
        required: stop where the scores cannot be kept; otherwise none are, and `lost` says why.

    Attributes:
        lost: why nothing is kept, in words; empty where the scores are.
    """

    def __init__(self, total: int, every: int = 1, *, required: bool = False) -> None:
        self.total, self.every = total, every
        self.required = required
        self.folder: tempfile.TemporaryDirectory[str] | None = None
        self.frames = self.inliers = 0
        self.labelled, self.anomaly = True, False
        self.lost = ""

    def __enter__(self) -> KeptScores:
        return self

    def __exit__(self, *_: object) -> None:
        self._clear()

    @property
    def ordinary(self) -> bool:
        """Whether no frame shows an anomaly; where there is one, the scores are no longer kept."""
        return not self.anomaly

    def keep(self, scored: Iterable[tuple[Frame, np.ndarray]]) -> Iterator[np.ndarray]:
        """Yield the scores of each frame's inlier pixels, 1-D float32, and keep frames' scores.

        Args:
            scored: frames with their scores, `(H, W)` float32.

        Raises:
            UserError: they are required, and there is no room for them.
        """
        for number, (frame, score) in enumerate(scored):
            inliers = inliers_of(frame, score)
            truth = None if frame.truth is None else frame.truth.numpy()
            self.labelled = self.labelled and truth is not None
            self.anomaly = self.anomaly or (truth is not None and bool((truth == 1).any()))
            if self.ordinary and not self.lost and number % self.every == 0:
                known = score if truth is None else np.where(truth == 0, score, np.nan)
                self._keep_one(known.astype(np.float32), inliers.size)
            yield inliers

    def _keep_one(self, known: np.ndarray, inliers: int) -> None:
        try:
            if self.folder is None:
                self.folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
            np.save(self._path(self.frames), known)
        except OSError as error:  # NumPy's own, of a disk that is full, has no `strerror`
            wanted = -(-self.total // self.every) * known.nbytes
            self.lost = (
                "the folder of temporary files does not take the frames' scores "
                f"({error.strerror or error}), about {wanted} bytes; set TMPDIR to one with room"
            )
            self._clear()
            if self.required:
                msg = f"--false_objects: {self.lost}, or set the threshold by --false_alarms."
                raise UserError(msg) from error
            return
        self.frames += 1
        self.inliers += inliers

    def raised(self, threshold: float) -> Raised:
        """Return what a threshold raises on the frames that were kept, all without an anomaly."""
        assert self.ordinary
        assert not self.lost
        alarms, over = Alarms(threshold), 0
        for number in range(self.frames):
            kept = np.load(self._path(number))
            over += int(np.count_nonzero(above(kept, threshold)))
            ignored = np.isnan(kept)
            truth = np.where(ignored, IGNORE, 0).astype(np.uint8)
            alarms.update(str(number), np.where(ignored, np.float32(0), kept), truth)
        found, nan = alarms.compute(), float("nan")
        false, clean = (found.false_a_frame, found.clean_share) if self.labelled else (nan, nan)
        share = over / self.inliers if self.inliers else nan
        return Raised(threshold, share, false, clean)

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
        with counting(len(grid), "false objects", "threshold") as step:

            @cache
            def left_at(threshold: float) -> float:
                found = self.raised(threshold).false_a_frame
                step()
                return found

            chosen, left = lowest_that_leaves(wanted, grid, left_at)
        if left > wanted:
            msg = (
                f"--false_objects {wanted:g}: even the highest threshold that these frames can "
                f"tell leaves {left:.3g} false objects a frame on them. Give a larger number, or "
                "set the threshold by --false_alarms."
            )
            raise OptionError(msg)
        return calibration.at(rates[grid.index(chosen)], "rate")

    def _path(self, number: int) -> Path:
        assert self.folder
        return Path(self.folder.name) / f"{number}.npy"

    def _clear(self) -> None:
        if self.folder:
            self.folder.cleanup()
            self.folder = None


def require_ordinary_frames(frames: FrameSet) -> None:
    """Refuse frames on which false objects cannot be counted.

    Raises:
        OptionError: one shows an anomaly or has no label, or none has an inlier pixel.
        DataError: a frame cannot be read.
    """
    if not is_ordinary(_truths(frames)):
        raise _uncounted(f"{frames.told} shows an anomaly, or holds no inlier pixel")


def _truths(frames: FrameSet) -> Iterator[np.ndarray]:
    """Yield each frame's truth; raises as `require_ordinary_frames` where one has none."""
    for frame in frames:
        if frame.truth is None:
            raise _uncounted(f"frame {frame.id} of {frames.told} has no label")
        yield truth_of(frame)


def _uncounted(lacks: str) -> OptionError:
    return OptionError(
        f"--false_objects counts on frames that show nothing strange, and {lacks}. Name ordinary "
        "frames, as by --calibration_data FOLDER, or set the threshold by --false_alarms."
    )
