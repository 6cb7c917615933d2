"""Events against boxes drawn by hand: which found the object, and which are false."""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import shorten
from typing import Any

import numpy as np

from roadanomaly.errors import DataError
from roadanomaly.video.frames import Box, Event, Judged, Sighting
from roadanomaly.video.tracking import to_source

COLUMNS = ["frame", "x0", "y0", "x1", "y1"]

BRIDGED = 3
"""Frames between two drawn boxes up to which the object is taken to be seen in between."""

COVERS = 0.2
"""Intersection over union from which an alarm's box covers the drawn one.

Low, since an alarm often holds what touches the object too, as the hand on a dog's back.
"""


def read_truth(word: str) -> dict[int, Box]:
    """Read boxes of one object: a CSV with the columns `frame,x0,y0,x1,y1`, pixels of the source.

    The word `none` gives no box, for a video without an anomaly. Boxes may be drawn every few
    frames; up to `BRIDGED` frames further on they are filled in linearly. On other frames the
    object is not seen.

    Returns:
        number of a frame to the box on it.

    Raises:
        DataError: no such table.
    """
    if word == "none":
        return {}
    path = Path(word)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            drawn = dict(_drawn(row) for row in csv.DictReader(file))
    except OSError as error:
        msg = f"--truth {path} cannot be read: {error.strerror}. Give a table of boxes, or `none`."
        raise DataError(msg) from error
    except (csv.Error, ValueError) as error:
        why = "it is no text" if isinstance(error, UnicodeError) else shorten(str(error), 100)
        msg = f"{path} is no table of boxes ({why}); give a CSV with {','.join(COLUMNS)}."
        raise DataError(msg) from error
    if not drawn:
        msg = f"{path} holds no box; give a row for each frame on which the object is seen."
        raise DataError(msg)
    numbers = sorted(drawn)
    corners = np.array([drawn[number] for number in numbers])
    boxes: dict[int, Box] = {}
    for frame in range(numbers[0], numbers[-1] + 1):
        after = int(np.searchsorted(numbers, frame))
        if frame != numbers[after] and numbers[after] - numbers[after - 1] > BRIDGED:
            continue
        x0, y0, x1, y1 = (round(np.interp(frame, numbers, side)) for side in corners.T)
        boxes[frame] = (x0, y0, x1, y1)
    return boxes


def _drawn(row: dict[str, str | None]) -> tuple[int, list[float]]:
    """Read the frame and the corners of a row.

    Raises:
        ValueError: says what is wrong with it.
    """
    lacking = [name for name in COLUMNS if row.get(name) is None]
    if lacking:
        msg = f"a row lacks {', '.join(lacking)}"
        raise ValueError(msg)
    frame, *corners = (str(row[name]) for name in COLUMNS)
    found = [float(corner) for corner in corners]
    if not all(map(math.isfinite, found)):
        msg = f"the box of frame {frame} is {' '.join(corners)}"
        raise ValueError(msg)
    return int(frame), found


@dataclass
class _Seen:
    """What an alarm was on."""

    frames: int = 0
    on_object: int = 0
    classes: Counter[str] = field(default_factory=Counter)


class Tally:
    """Counts, over a video, the alarms on the object that was drawn and all others.

    Args:
        truth: number of a frame to the box of the object on it; none at all where a video shows
            nothing that should raise an alarm.
        classes: names of the network's classes.
        fps: frames a second of the source, nominal.
    """

    def __init__(self, truth: dict[int, Box], classes: Sequence[str], fps: float) -> None:
        self.truth = truth
        self.classes = classes
        self.fps = fps
        self._alarms: dict[int, _Seen] = {}
        self._frames = 0
        self._seen = 0
        self._covered: list[int] = []
        self._ids: list[int] = []
        self._first_s = self._last_s = 0.0

    def take(self, judged: Judged) -> None:
        """Count a frame."""
        frame = judged.frame
        box = self.truth.get(frame.number)
        if not self._frames:
            self._first_s = frame.time_s
        self._frames += 1
        self._last_s = frame.time_s
        self._seen += box is not None
        best, found = 0.0, 0
        for sighting in judged.sightings:
            if not sighting.alarm:
                continue
            seen = self._alarms.setdefault(sighting.id, _Seen())
            seen.frames += 1
            seen.classes[self._under(judged, sighting)] += 1
            overlap = 0.0 if box is None else _overlap(to_source(sighting.box, frame), box)
            if overlap >= COVERS:
                seen.on_object += 1
                if overlap > best:
                    best, found = overlap, sighting.id
        if found:
            self._ids.append(found)
            self._covered.append(frame.number)

    def close(self, last: Sequence[Event]) -> None:
        """Nothing is left to do at the end."""

    def summary(self) -> dict[str, Any]:
        """Return the counts as plain values.

        `object_ids` says how many numbers the object was given: 1 is right. An event is false
        where it was on the object on fewer than half of its frames; `false_on` says which known
        class the network saw there most.
        """
        false = {n: one for n, one in self._alarms.items() if 2 * one.on_object < one.frames}
        minutes = (self._last_s - self._first_s + 1 / self.fps) / 60
        first = min(self.truth, default=None)
        return {
            "frames": self._frames,
            "object_frames": self._seen,
            "object_frames_alarmed": len(self._covered),
            "object_first_frame": first,
            "object_first_alarm": self._covered[0] if self._covered else None,
            "object_ids": len(set(self._ids)),
            "false_events": len(false),
            "false_frames": sum(one.frames for one in false.values()),
            "false_events_per_minute": round(len(false) / minutes, 1) if self._frames else None,
            "false_on": dict(Counter(one.classes.most_common(1)[0][0] for one in false.values())),
        }

    def _under(self, judged: Judged, sighting: Sighting) -> str:
        """Name of the known class that the network takes most of a sighting's mask for.

        It is `?` where the network says none: the detector never asks it.
        """
        x0, y0, x1, y1 = sighting.box
        window = np.s_[y0:y1, x0:x1]
        assert judged.scores.classes is not None
        inside = judged.scores.classes[window][judged.mask[window]]
        place = int(np.bincount(inside).argmax()) if inside.size else len(self.classes)
        return self.classes[place] if place < len(self.classes) else "?"


def _overlap(one: Box, other: Box) -> float:
    """Intersection over union."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(0, width) * max(0, height)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return shared / max(1, sum(areas) - shared)
