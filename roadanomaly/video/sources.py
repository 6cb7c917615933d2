"""Where frames come from: what a source is, and which one a word on the command line names."""

from __future__ import annotations

import glob
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from roadanomaly.data.geometry import scale_image
from roadanomaly.data.images import SUFFIXES, list_images, read_image, to_array
from roadanomaly.errors import DataError, OptionError
from roadanomaly.video.frames import VideoFrame

SOURCES = (
    "a video file, a folder or quoted glob of images, `camera:0` or /dev/video0, an rtsp:// or "
    "http:// address, or - for standard input"
)


@dataclass
class Mishaps:
    """What went wrong in a source without ending it.

    Args:
        corrupt: packets, frames or images that could not be decoded and were left out.
        reconnects: times that a stream came back.
        size_changes: times that the frames changed their size.
        notes: what ended the source early, for people.
    """

    corrupt: int = 0
    reconnects: int = 0
    size_changes: int = 0
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Reading:
    """How to read a source.

    Args:
        fps: of a folder of images.
        live: whether frames may be dropped to keep up; None asks the kind of source.
        realtime: give a file's frames at their own times, as a camera would.
        loop: times that a file or folder is played; 0 for ever.
        start_s: of a file: leave out what lies before.
        stall_s: a stream that gives nothing for so long is taken as lost.
        reconnect_s: how long a lost stream is called again; 0 lets it end.
    """

    fps: float = 10.0
    live: bool | None = None
    realtime: bool = False
    loop: int = 1
    start_s: float = 0.0
    stall_s: float = 5.0
    reconnect_s: float = 30.0


class Source(ABC):
    """A sequence of frames in the order of time.

    Args:
        name: for messages and records.
        live: whether it goes on without us, so that frames may be dropped.

    Attributes:
        size: `(H, W)` of its first frame.
        fps: nominal frames a second.
        mishaps: what went wrong so far.
        stop: set from another thread to end it.
    """

    size: tuple[int, int]
    fps: float

    def __init__(self, name: str, live: bool) -> None:
        self.name = name
        self.live = live
        self.mishaps = Mishaps()
        self.stop = threading.Event()

    @abstractmethod
    def frames(self, size: tuple[int, int]) -> Iterator[VideoFrame]:
        """Give frames scaled to `(H, W)`; once only."""

    def close(self) -> None:  # noqa: B027 (a folder holds nothing open)
        """Let go of files and connections."""


class ImageFiles(Source):
    """Images in the order of their names.

    Args:
        paths: at least one.
        reading: its rate, pace and repetitions.

    Raises:
        DataError: the first image that can be read is none.
    """

    def __init__(self, paths: list[Path], reading: Reading) -> None:
        live = reading.realtime if reading.live is None else reading.live
        super().__init__(str(paths[0].parent), live)
        self.paths = paths
        self.reading = reading
        self.fps = reading.fps
        self.size = self._first_size()

    def _first_size(self) -> tuple[int, int]:
        for path in self.paths:
            image = self._read(path)
            if image is not None:
                self.mishaps.corrupt = 0
                return image.shape[0], image.shape[1]
        msg = f"none of the {len(self.paths)} images in {self.name} can be read."
        raise DataError(msg)

    def _read(self, path: Path) -> np.ndarray | None:
        try:
            return to_array(read_image(path))
        except DataError:
            self.mishaps.corrupt += 1
            return None

    def frames(self, size: tuple[int, int]) -> Iterator[VideoFrame]:
        """Give the images at a constant rate, those that cannot be read left out."""
        number, last_size = 0, self.size
        rounds = self.reading.loop or 10**9
        pace = Pace(self.reading.realtime, self.stop)
        for turn in range(rounds):
            for place, path in enumerate(self.paths):
                time_s = (turn * len(self.paths) + place) / self.fps
                if time_s < self.reading.start_s:
                    continue
                image = self._read(path)
                if image is None:
                    continue
                pace.wait_for(time_s)
                if self.stop.is_set():
                    return
                found = (image.shape[0], image.shape[1])
                self.mishaps.size_changes += found != last_size
                last_size = found
                scaled = scale_image(image, size)
                yield VideoFrame(number, time_s, time.perf_counter(), scaled, found)
                number += 1


class Pace:
    """Hold frames back until their time, as a camera would.

    Args:
        real: whether to; if not, nothing waits.
        stop: ends a wait.
    """

    def __init__(self, real: bool, stop: threading.Event) -> None:
        self.real = real
        self.stop = stop
        self._zero: float | None = None

    def wait_for(self, time_s: float) -> None:
        """Wait until `time_s` after the first call's."""
        if not self.real:
            return
        now = time.perf_counter()
        if self._zero is None:
            self._zero = now - time_s
        self.stop.wait(max(0.0, self._zero + time_s - now))


def open_source(word: str, reading: Reading | None = None) -> Source:
    """Open what a word names.

    Args:
        word: see `SOURCES`.
        reading: how to read it.

    Raises:
        DataError: nothing is there, or it holds no video.
        OptionError: a rate or time out of its range.
    """
    from roadanomaly.video.av_source import AvSource

    reading = reading or Reading()
    if reading.fps <= 0 or reading.stall_s <= 0 or reading.loop < 0:
        msg = "--fps and --stall_s must be positive, --loop not negative."
        raise OptionError(msg)
    if word == "-" or "://" in word or word.startswith(("camera:", "/dev/video")):
        return AvSource(word, reading)
    path = Path(word)
    if path.is_dir():
        images = list_images(path)
        if not images:
            msg = f"the folder {path} holds no image ({', '.join(SUFFIXES)}); give {SOURCES}."
            raise DataError(msg)
        return ImageFiles(images, reading)
    if not path.exists():
        matches = sorted(map(Path, glob.glob(word, recursive=True)))  # noqa: PTH207
        images = [match for match in matches if match.suffix.lower() in SUFFIXES]
        if images:
            return ImageFiles(images, reading)
        msg = f"there is no source {word!r}; give {SOURCES}."
        raise DataError(msg)
    if path.suffix.lower() in SUFFIXES:
        return ImageFiles([path], reading)
    return AvSource(word, reading)
