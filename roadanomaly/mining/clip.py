"""One clip: run it through the model, keep its top events with thumbnails, write them whole."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from roadanomaly.errors import UserError
from roadanomaly.files import write_bytes, write_text
from roadanomaly.runtimes import Scorer
from roadanomaly.video.frames import Event, Judged
from roadanomaly.video.judge import Judge
from roadanomaly.video.overlay import draw
from roadanomaly.video.runner import Runner
from roadanomaly.video.source import Source

THUMBNAIL_WIDTH = 320
CLIPS = "clips"
THUMBNAILS = "thumbnails"
FRAMES = "frames"
KEYS = {"clip", "frames", "seconds", "events", "error"}
"""Of a record, at least."""
QUALITY = 95
"""Of the JPEG of a frame that is kept whole."""


@dataclass(frozen=True)
class Task:
    """A clip to be mined.

    Args:
        path: as the source was named.
        out: folder of the index.
        key: of the clip in that folder.
        stop: set from another thread to break off; nothing is kept then.
    """

    path: str
    out: Path
    key: str
    stop: threading.Event = field(default_factory=threading.Event, compare=False)

    @property
    def record(self) -> Path:
        """The file that says what was found in this clip."""
        return self.out / CLIPS / f"{self.key}.json"

    @property
    def found(self) -> dict[str, Any] | None:
        """What was found in it before; None where it was not mined yet, or could not be read."""
        held = read_record(self.record)
        return None if held is None or held["error"] else held


def read_record(path: Path) -> dict[str, Any] | None:
    """Return what was found in a clip; None where that is not there, or no such file."""
    with contextlib.suppress(OSError, ValueError, RecursionError, AttributeError):
        held: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if (
            held.keys() >= KEYS
            and isinstance(held["clip"], str)
            and isinstance(held["events"], list)
        ):
            return held
    return None


def clip_key(path: Path) -> str:
    """Name a clip by its stem and by a hash of its place, size and time of change.

    A clip that was changed since is another one, and is mined again.
    """
    stat = path.stat()
    state = f"{path.absolute()}|{stat.st_size}|{stat.st_mtime_ns}"
    return f"{path.stem[:60]}-{hashlib.sha256(os.fsencode(state)).hexdigest()[:12]}"


@dataclass(frozen=True)
class Pictures:
    """JPEG files of an event's peak: drawn and small, and the frame as it is where it is kept."""

    thumbnail: bytes
    whole: bytes | None = None


class _Best:
    """A sink that keeps the events, and a picture of the peak of those that are on."""

    def __init__(self, judge: Judge, stop: threading.Event, whole: bool) -> None:
        self._judge = judge
        judge.keeps_peaks = True
        self._stop = stop
        self._whole = whole
        self.found: list[tuple[Event, Pictures]] = []
        self._pictures: dict[int, Pictures] = {}

    def show(self, judged: Judged) -> None:
        """Called in the judging thread, where alarms may be looked at.

        Raises:
            KeyboardInterrupt: the clip is to be broken off.
        """
        if self._stop.is_set():
            raise KeyboardInterrupt
        number = judged.frame.number
        for event in self._judge.open_events:
            if event.peak_frame == number or event.id not in self._pictures:
                peak = self._judge.at_peak(event, judged)
                self._pictures[event.id] = Pictures(
                    thumbnail(peak), jpeg(peak.frame.filmed) if self._whole else None
                )
        for event in judged.ended:
            self.found.append((event, self._pictures.pop(event.id, Pictures(b""))))

    def take(self, judged: Judged) -> None:
        """Nothing: `show` has seen it."""

    def close(self, last: Sequence[Event]) -> str | None:
        """Take the events that end with the clip."""
        self.found += [(event, self._pictures.pop(event.id, Pictures(b""))) for event in last]
        return None


def mine_clip(
    task: Task,
    open_source: Callable[[str], Source],
    runtime_for: Callable[[Source], Scorer],
    new_judge: Callable[[], Judge],
    top: int,
    whole: bool = False,
) -> dict[str, Any]:
    """Mine one clip, or return what was found in it before.

    A clip that cannot be read gives a record with an `error` instead of events, and is tried again
    the next time.

    Args:
        task: the clip.
        open_source: opens it.
        runtime_for: gives the runtime for its size.
        new_judge: makes a fresh judge.
        top: how many events to keep, those with the highest peaks.
        whole: keep the frame of each event's peak as it was filmed, too; `open_source` has to give
            it (`Reading.whole`).

    Returns:
        `clip`, `place` (its whole path), `frames`, `seconds`, `events`, `error` and `runtime` (what
        scored it); as stored in `Task.record`.

    Raises:
        UserError: the index folder cannot be written.
        KeyboardInterrupt: `Task.stop` was set.
    """
    if (found := task.found) is not None:
        return found
    record: dict[str, Any] = {"clip": task.path, "place": str(Path(task.path).absolute())}
    record |= {"frames": 0, "seconds": 0.0, "error": None}
    best: list[tuple[Event, Pictures]] = []
    try:
        source = open_source(task.path)
        judge = new_judge()
        sink = _Best(judge, task.stop, whole)
        runtime = runtime_for(source)
        figures = Runner(source, runtime, judge, [sink], on_frame=sink.show).run()
        record["runtime"] = {
            "backend": runtime.name,
            "precision": runtime.precision,
            **runtime.about,
            "size": figures["size"],
        }
        record["frames"] = figures["frames"]
        record["seconds"] = round(figures["frames"] / source.fps, 3)
        best = sorted(sink.found, key=lambda one: -one[0].peak_score)[:top]
    except UserError as error:
        record["error"] = str(error)
    record["events"] = [
        {**event.as_dict(), **_keep(task, event, pictures)} for event, pictures in best
    ]
    write_text(task.record, json.dumps(record, indent=1) + "\n")
    return record


def _keep(task: Task, event: Event, pictures: Pictures) -> dict[str, str]:
    """Write an event's pictures; return the keys of its record that name them."""
    name = f"{task.key}-{event.id}.jpg"
    kept = {"thumbnail": f"{THUMBNAILS}/{name}"}
    write_bytes(task.out / kept["thumbnail"], pictures.thumbnail)
    if pictures.whole is not None:
        kept["frame"] = f"{FRAMES}/{name}"
        write_bytes(task.out / kept["frame"], pictures.whole)
    return kept


def thumbnail(judged: Judged) -> bytes:
    """Draw a frame's result small, as JPEG."""
    drawn = draw(judged)
    height = max(1, round(drawn.shape[0] * THUMBNAIL_WIDTH / drawn.shape[1]))
    small = cv2.resize(drawn, (THUMBNAIL_WIDTH, height), interpolation=cv2.INTER_AREA)
    return jpeg(small)


def jpeg(image: np.ndarray) -> bytes:
    """Write `(H, W, 3)` uint8 RGB as JPEG."""
    turned = np.ascontiguousarray(image[..., ::-1])
    return cv2.imencode(".jpg", turned, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()
