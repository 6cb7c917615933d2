"""What one threshold raises: which objects it finds, and how many false ones a frame.

An object is found, and a predicted component is true, as the benchmark's component metrics have it
at their lowest overlap: sIoU >= 0.25 of the one, and at least a quarter of the other on true ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from roadanomaly.errors import OptionError
from roadanomaly.metrics.checks import check_frame, check_name
from roadanomaly.metrics.component import SIZE_RULES, TAUS, FrameObjects, above, frame_objects
from roadanomaly.metrics.keyed import ByFrame, FrameId

OVERLAP = float(TAUS[0])
"""Least overlap of an object that counts as found, and of a component that is not false."""


@dataclass(frozen=True)
class AlarmResult:
    """Objects at one threshold.

    Args:
        frames: how many were looked at.
        objects: true objects in them, those large enough to count.
        found: of these, those with sIoU >= 0.25.
        false: predicted components, large enough to count, of which less than a quarter lies on
            true objects.
        clean: frames without a false component.
    """

    frames: int
    objects: int
    found: int
    false: int
    clean: int

    @property
    def recall(self) -> float:
        """Share of the objects that are found; NaN where there is none."""
        return self.found / self.objects if self.objects else float("nan")

    @property
    def false_a_frame(self) -> float:
        """False components a frame; NaN without frames."""
        return self.false / self.frames if self.frames else float("nan")

    @property
    def clean_share(self) -> float:
        """Share of the frames without a false component; NaN without frames."""
        return self.clean / self.frames if self.frames else float("nan")


def count_alarms(frames: Sequence[FrameObjects]) -> AlarmResult:
    """Count over frames whose predicted and true components were matched, one entry a frame."""
    false = np.array([np.count_nonzero(one.ppv < OVERLAP) for one in frames], int)
    return AlarmResult(
        frames=len(frames),
        objects=sum(one.siou.size for one in frames),
        found=sum(int(np.count_nonzero(one.siou >= OVERLAP)) for one in frames),
        false=int(false.sum()),
        clean=int(np.count_nonzero(false == 0)),
    )


class Alarms:
    """Objects at one threshold, frame by frame.

    Args:
        threshold: a pixel with a score above it is called an anomaly, as `predict` does; NaN calls
            none.
        track: `"anomaly"` or `"obstacle"`: components of fewer than 500 or 50 pixels are no alarm,
            true ones of fewer than 100 or 10 no object, at the size of the label.

    Raises:
        UnknownName: another track.
    """

    def __init__(self, threshold: float, track: str = "anomaly") -> None:
        check_name("track", track, SIZE_RULES)
        self.threshold, self.track = float(threshold), track
        self._objects: ByFrame[FrameObjects] = ByFrame()

    def update(self, frame_id: FrameId, score: np.ndarray, label: np.ndarray) -> None:
        """Match the objects of one frame.

        Args:
            frame_id: unique name.
            score: `(H, W)` float16, float32 or float64.
            label: `(H, W)` uint8 of 0 inlier, 1 anomaly, 255 ignore.

        Raises:
            DataError: the frame cannot be scored, or was counted before.
        """
        score, label = check_frame(frame_id, score, label)
        found = frame_objects(above(score, self.threshold), label, SIZE_RULES[self.track])
        self._objects.add(frame_id, found)

    def merge(self, other: Alarms) -> None:
        """Take over the frames that another process matched.

        Raises:
            OptionError: the other has another track or threshold.
        """
        mine = self.track, np.float64(self.threshold).tobytes()
        if mine != (other.track, np.float64(other.threshold).tobytes()):
            msg = (
                f"alarms of track {other.track} at {other.threshold} cannot join those of track "
                f"{self.track} at {self.threshold}; start all processes with the same two."
            )
            raise OptionError(msg)
        self._objects.merge(other._objects)

    def compute(self) -> AlarmResult:
        """Count over all frames so far."""
        return count_alarms(self._objects.in_order())
