"""The values that pass along the video pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from roadanomaly.runtimes import Scores

if TYPE_CHECKING:  # a process that only decodes need not import torch
    from roadanomaly.types import Component

Box = tuple[int, int, int, int]
"""`(x0, y0, x1, y1)`, the last two exclusive, pixels."""


@dataclass(frozen=True)
class VideoFrame:
    """One frame as it came from its source.

    Args:
        number: its place in what is played, from 0. Images of a folder that cannot be read count.
        time_s: by the source's own time stamps, from its start.
        captured: `time.perf_counter()` when it was decoded.
        image: `(H, W, 3)` uint8 RGB, at the size that was asked for.
        source_size: `(H, W)` as the source has it.
        whole: `(H, W, 3)` uint8 RGB as it was filmed, where that was asked for and `image` is not.
    """

    number: int
    time_s: float
    captured: float
    image: np.ndarray
    source_size: tuple[int, int]
    whole: np.ndarray | None = None

    @property
    def filmed(self) -> np.ndarray:
        """The frame as it was filmed, if the source was asked for it; else as it was scored."""
        return self.image if self.whole is None else self.whole


@dataclass(frozen=True)
class Sighting:
    """A tracked object on one frame.

    Args:
        id: of the track; the same for as long as the object is followed.
        box: at the network's size.
        area: pixels at that size.
        mean_score: over it.
        max_score: largest in it.
        alarm: whether it has persisted for long enough to be an event.
    """

    id: int
    box: Box
    area: int
    mean_score: float
    max_score: float
    alarm: bool

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return {
            "id": self.id,
            "box": list(self.box),
            "area": self.area,
            "mean_score": round(self.mean_score, 4),
            "max_score": round(self.max_score, 4),
            "alarm": self.alarm,
        }


@dataclass(frozen=True)
class Event:
    """An object that persisted, from its first sighting to its last.

    Args:
        id: of its track.
        start_s: first sighting, in the source's time.
        end_s: last sighting.
        peak_score: largest score in it.
        peak_s: when that was.
        box: at the peak, in pixels of the source.
        peak_frame: number of that frame.
    """

    id: int
    start_s: float
    end_s: float
    peak_score: float
    peak_s: float
    box: Box
    peak_frame: int

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return {
            "id": self.id,
            "start_s": round(self.start_s, 4),
            "end_s": round(self.end_s, 4),
            "peak_score": round(self.peak_score, 4),
            "peak_s": round(self.peak_s, 4),
            "box": list(self.box),
            "peak_frame": self.peak_frame,
        }


@dataclass(frozen=True)
class Judged:
    """A frame with what was found on it.

    Args:
        frame: the frame.
        scores: of the network; `score` is smoothed where smoothing is on.
        mask: `(H, W)` bool.
        components: the regions of the mask.
        sightings: the tracked objects among them.
        ended: events that ended with this frame.
    """

    frame: VideoFrame
    scores: Scores
    mask: np.ndarray
    components: Sequence[Component]
    sightings: Sequence[Sighting]
    ended: Sequence[Event]
