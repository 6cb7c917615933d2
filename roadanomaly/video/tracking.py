"""Follow components from frame to frame, and turn those that persist into events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linear_sum_assignment

from roadanomaly.types import Component
from roadanomaly.video.frames import Box, Event, Sighting, VideoFrame

LEAST_OVERLAP = 0.1
"""Intersection over union from which a component may continue a track."""

PART_OF = 0.5
"""Share of a component inside a followed box from which it is a fragment of that object."""

NO_MATCH = 10.0

ROUNDING_S = 1e-6
"""Seconds by which a difference of time stamps may miss what it stands for."""


@dataclass(frozen=True)
class Persistence:
    """When an object becomes an event, and when the event is over.

    Args:
        start_s: seconds that it must have been followed.
        start_frames: frames on which it must have been seen.
        end_s: seconds without a sighting that end it.
    """

    start_s: float = 0.2
    start_frames: int = 3
    end_s: float = 0.6


@dataclass
class Track:
    """An object that is followed.

    Args:
        id: its number.
        box: last seen, `(x0, y0, x1, y1)` at the network's size.
        first_s: time of the first sighting.
        last_s: time of the last.
    """

    id: int
    box: np.ndarray
    first_s: float
    last_s: float
    seen: int = 1
    alarm: bool = False
    peak_score: float = -np.inf
    peak_s: float = 0.0
    peak_box: Box = (0, 0, 0, 0)
    peak_frame: int = 0
    speed: np.ndarray = field(default_factory=lambda: np.zeros(2))

    def predicted(self, time_s: float) -> np.ndarray:
        """Return the box moved on at its speed."""
        return self.box + np.tile(self.speed * (time_s - self.last_s), 2)

    def event(self) -> Event:
        """Return what the log will say of it."""
        return Event(
            self.id,
            self.first_s,
            self.last_s,
            self.peak_score,
            self.peak_s,
            self.peak_box,
            self.peak_frame,
        )


class Tracker:
    """Assigns components to tracks by the overlap of their boxes (Hungarian method).

    Fragments of an object that is followed are joined to it. A weak component carries a track on,
    but begins none and confirms none (after Zhang et al., ByteTrack, ECCV 2022, who match boxes of
    low confidence in a second round; here all are matched in one, since weak ones elsewhere have
    been left out before: see `expects`). Ids count up from 1 and are given
    to objects that become events, so that the events of a clip are numbered without gaps.

    Args:
        persistence: when an alarm starts and ends.
    """

    def __init__(self, persistence: Persistence | None = None) -> None:
        self.persistence = persistence or Persistence()
        self._tracks: list[Track] = []
        self._numbers = 0

    def expects(self, component: Component, time_s: float) -> bool:
        """Whether an object that is followed could be where a component is."""
        box = np.array([_corners(component)], float)
        return any(
            _overlaps(track.predicted(time_s)[None], box)[0, 0] >= LEAST_OVERLAP
            for track in self._tracks
        )

    def update(
        self, frame: VideoFrame, components: Sequence[Component], strong: float = -np.inf
    ) -> tuple[list[Sighting], list[Event]]:
        """Take the components of the next frame.

        Args:
            frame: the frame.
            components: what was found on it.
            strong: a component without a score above it is weak.

        Returns:
            what was seen on it, and the events that ended with it.
        """
        boxes = np.array([_corners(one) for one in components], float).reshape(-1, 4)
        pairs = self._match(boxes, frame.time_s)
        groups = _join_fragments(boxes, pairs, self._tracks)
        taken = {index for group in groups.values() for index in group}
        sightings = []
        for place, members in groups.items():
            track = self._tracks[place]
            parts = [components[i] for i in members]
            sightings.append(self._see(track, frame, parts, strong))
        for index, component in enumerate(components):
            if index not in taken and component.max_score > strong:
                track = Track(0, boxes[index], frame.time_s, frame.time_s, seen=0)
                self._tracks.append(track)
                sightings.append(self._see(track, frame, [component], strong))
        return sightings, self._drop_lost(frame.time_s)

    def close(self) -> list[Event]:
        """End all alarms, as at the end of the video."""
        ended = [track.event() for track in self._tracks if track.alarm]
        self._tracks = []
        return sorted(ended, key=lambda event: event.id)

    @property
    def open_events(self) -> list[Event]:
        """Alarms that are on, as they stand."""
        return [track.event() for track in self._tracks if track.alarm]

    @property
    def pending_peaks(self) -> set[int]:
        """Numbers of the frames with the peaks of objects that are no alarm, or not yet."""
        return {track.peak_frame for track in self._tracks if not track.alarm}

    def _match(self, boxes: np.ndarray, time_s: float) -> list[tuple[int, int]]:
        """Return pairs of track and component."""
        if not len(boxes) or not self._tracks:
            return []
        predicted = np.stack([track.predicted(time_s) for track in self._tracks])
        overlap = np.maximum(
            _overlaps(predicted, boxes), _overlaps(np.stack([t.box for t in self._tracks]), boxes)
        )
        near = _nearness(predicted, boxes)
        cost = np.where(overlap >= LEAST_OVERLAP, 1 - overlap, np.where(near > 0, 3 - near, 10.0))
        rows, columns = linear_sum_assignment(cost)
        return [(r, c) for r, c in zip(rows, columns, strict=True) if cost[r, c] < NO_MATCH]

    def _see(
        self, track: Track, frame: VideoFrame, parts: Sequence[Component], strong: float
    ) -> Sighting:
        corners = np.array([_corners(part) for part in parts], float)
        box = np.concatenate([corners[:, :2].min(0), corners[:, 2:].max(0)])
        passed = frame.time_s - track.last_s
        if passed > 0:
            moved = (_centre(box) - _centre(track.box)) / passed
            track.speed = 0.5 * track.speed + 0.5 * moved
        score = max(part.max_score for part in parts)
        track.box, track.last_s = box, frame.time_s
        track.seen += score > strong
        whole = (int(box[0]), int(box[1]), int(box[2]), int(box[3]))
        if score > track.peak_score:
            track.peak_score, track.peak_s, track.peak_frame = score, frame.time_s, frame.number
            track.peak_box = to_source(whole, frame)
        needed = self.persistence
        followed = frame.time_s - track.first_s
        long = followed >= needed.start_s - ROUNDING_S
        if long and not track.alarm and track.seen >= needed.start_frames:
            self._numbers += 1
            track.id, track.alarm = self._numbers, True
        area = sum(part.area for part in parts)
        mean = sum(part.mean_score * part.area for part in parts) / area
        return Sighting(track.id, whole, area, mean, score, track.alarm)

    def _drop_lost(self, time_s: float) -> list[Event]:
        """Forget tracks that were not seen for long enough; those that were alarms end."""
        lost: list[Track] = []
        kept: list[Track] = []
        for track in self._tracks:
            patience = self.persistence.end_s if track.alarm else self.persistence.end_s / 2
            unseen = time_s - track.last_s
            (lost if unseen > patience + ROUNDING_S else kept).append(track)
        self._tracks = kept
        return sorted((t.event() for t in lost if t.alarm), key=lambda event: event.id)


def to_source(box: Box, frame: VideoFrame) -> Box:
    """Scale a box from the network's size to the source's."""
    down = frame.source_size[0] / frame.image.shape[0]
    right = frame.source_size[1] / frame.image.shape[1]
    x0, y0, x1, y1 = box
    return round(x0 * right), round(y0 * down), round(x1 * right), round(y1 * down)


def _corners(component: Component) -> tuple[int, int, int, int]:
    x, y, width, height = component.box
    return x, y, x + width, y + height


def _centre(box: np.ndarray) -> np.ndarray:
    return (box[:2] + box[2:]) / 2


def _areas(boxes: np.ndarray) -> np.ndarray:
    return np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)


def _shared(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Area that each box of `one` `(N, 4)` shares with each of `other` `(M, 4)`: `(N, M)`."""
    low = np.maximum(one[:, None, :2], other[None, :, :2])
    high = np.minimum(one[:, None, 2:], other[None, :, 2:])
    return np.prod(np.clip(high - low, 0, None), axis=2)


def _overlaps(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Intersection over union of each pair, `(N, M)`."""
    shared = _shared(one, other)
    return shared / (_areas(one)[:, None] + _areas(other)[None] - shared)


def _nearness(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """1 for equal centres, 0 from a box's diagonal away or where sizes differ fourfold, `(N, M)`.

    Small objects may move by more than their own size between two frames.
    """
    centres = (one[:, :2] + one[:, 2:]) / 2, (other[:, :2] + other[:, 2:]) / 2
    away = np.linalg.norm(centres[0][:, None] - centres[1][None], axis=2)
    diagonal = np.linalg.norm(one[:, 2:] - one[:, :2], axis=1)[:, None]
    ratio = _areas(one)[:, None] / np.maximum(_areas(other)[None], 1)
    alike = (ratio > 0.25) & (ratio < 4)
    return np.where(alike, np.clip(1 - away / np.maximum(diagonal, 1), 0, 1), 0)


def _join_fragments(
    boxes: np.ndarray, pairs: Sequence[tuple[int, int]], tracks: Sequence[Track]
) -> dict[int, list[int]]:
    """Group components by track: the matched one, and others that lie in the track's last box."""
    groups = {place: [index] for place, index in pairs}
    taken = {index for _, index in pairs}
    for index in range(len(boxes)):
        if index in taken or not groups:
            continue
        places = list(groups)
        held = np.stack([tracks[place].box for place in places])
        inside = _shared(held, boxes[index : index + 1])[:, 0] / max(
            _areas(boxes[index : index + 1])[0], 1
        )
        best = int(inside.argmax())
        if inside[best] >= PART_OF:
            groups[places[best]].append(index)
    return groups
