"""What a source of frames is: how it is read, what goes wrong in it, at what pace it plays."""

from __future__ import annotations

import re
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field

from roadanomaly.video.frames import VideoFrame

REOPENED = (
    "a video file, a folder or quoted glob of images, `camera:0` or /dev/video0, or an rtsp:// or "
    "http:// address"
)
"""Sources that can be opened again and again."""

SOURCES = f"{REOPENED}; or - for standard input"

SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".avi", ".webm", ".ts", ".mpg", ".mpeg")
"""How the names of video files end, in lower case."""


def public(word: str) -> str:
    """Return a word of the command line with no user and password in its address.

    >>> public("rtsp://me:secret@camera:554/street")
    'rtsp://camera:554/street'
    """
    return re.sub(r"(?<=://)[^/?#]*@", "", word)


@dataclass
class Mishaps:
    """What went wrong in a source without ending it.

    Args:
        corrupt: packets, frames or images that could not be decoded and were left out.
        lost: frames that should be there by a file's time stamps and length, and never came, about;
            known at its end.
        reconnects: times that a stream came back.
        size_changes: times that the frames changed their size.
        notes: what ended the source early, for people.
    """

    corrupt: int = 0
    lost: int = 0
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
        most_pixels: of a frame; larger ones are not decoded. None takes any.
        sealed: the file comes from a stranger: take plain containers alone, no playlist or session
            description, and open nothing that they name.
        whole: give each frame as it was filmed, too, where it is scaled.
    """

    fps: float = 10.0
    live: bool | None = None
    realtime: bool = False
    loop: int = 1
    start_s: float = 0.0
    stall_s: float = 5.0
    reconnect_s: float = 30.0
    most_pixels: int | None = None
    sealed: bool = False
    whole: bool = False


class Source(ABC):
    """A sequence of frames in the order of time.

    Args:
        name: for messages and records.
        live: whether it goes on without us, so that frames may be dropped.

    Attributes:
        size: `(H, W)` of its first frame.
        fps: nominal frames a second.
        length_s: seconds that it lasts as far as it says so, or None.
        mishaps: what went wrong so far.
        stop: set from another thread to end it.
    """

    size: tuple[int, int]
    fps: float
    length_s: float | None = None

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
