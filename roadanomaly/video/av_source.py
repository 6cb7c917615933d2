"""Files, cameras and streams, decoded by FFmpeg through PyAV."""

from __future__ import annotations

import contextlib
import itertools
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import av.error
from av.container import InputContainer
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame as AvFrame
from av.video.reformatter import VideoReformatter

from roadanomaly.errors import DataError
from roadanomaly.video.frames import VideoFrame
from roadanomaly.video.gaps import Gaps
from roadanomaly.video.orientation import Orientation
from roadanomaly.video.source import SOURCES, Pace, Reading, Source, public

BACKOFF = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Seconds before each new call of a lost stream; the last is repeated."""

Stamped = tuple[float, AvFrame]
"""A time, seconds, and a frame as it was decoded."""

USUAL_FPS = 25.0
LOST = (av.error.FFmpegError, EOFError, OSError)
DAMAGED = (av.error.InvalidDataError, IndexError)
"""What reading a damaged packet raises; PyAV fails on a stream that damage seems to add."""

SEALED = {
    "protocol_whitelist": "file",
    "format_whitelist": "mov,matroska,webm,avi,mpegts,mpeg,mpegvideo",
}
"""FFmpeg's options for files of strangers."""

MOST_DAMAGED = 100
"""Damaged packets in a row after which a source counts as ended."""


class AvSource(Source):
    """Anything that FFmpeg opens.

    Time stamps are the stream's own. Where they are missing or run backwards, a frame follows the
    one before by the nominal interval. A stream that was lost goes on by the clock on the wall.
    Frames are given upright, as the file's display matrix says. The first is decoded at once, so
    that a file without any is refused before something is written for it.

    Args:
        word: path, address, `camera:N`, or `-`. A user and password in it are told to nobody.
        reading: how to read it.

    Raises:
        DataError: it cannot be opened, or holds no video, or no frame from `start_s` on.
    """

    def __init__(self, word: str, reading: Reading) -> None:
        self._address, self.word = word, public(word)
        self.reading = reading
        self.network = "://" in word and not word.startswith("file://")
        self._container: InputContainer | None = self._open()
        stream = self._container.streams.video[0]
        camera = word.startswith(("camera:", "/dev/video"))
        endless = self.network and self._container.duration is None
        live = reading.realtime or camera or endless if reading.live is None else reading.live
        super().__init__(self.word, live)
        self.endless = camera or endless
        self.fps = float(stream.average_rate or stream.guessed_rate or USUAL_FPS)
        self.length_s = _length(self._container)
        self._check_pixels(stream.codec_context)
        self._reached = 0.0
        self._clock = _Clock(1 / self.fps)
        self._way: Orientation | None = None
        gaps = Gaps(1 / self.fps, whole=not reading.start_s)
        self._begun: Iterator[Stamped] = self._session(self._clock, gaps)
        self._first: Stamped | None = next(self._begun, None)
        self.size = self._first_size()
        self._last_size = self.size

    def _check_pixels(self, context: VideoCodecContext) -> None:
        """Refuse frames that are too large before one is decoded, by their header."""
        most = self.reading.most_pixels
        if most is None:
            return
        if context.width * context.height > most:
            self.close()
            msg = (
                f"the frames of {self.word} have {context.width}x{context.height} pixels; give a "
                f"video with at most {most / 1e6:g} million."
            )
            raise DataError(msg)
        context.options = {"max_pixels": str(most)}

    def _first_size(self) -> tuple[int, int]:
        """Return `(H, W)` as the first frame is shown.

        Raises:
            DataError: there is no frame.
        """
        if self._first is not None:
            frame = self._first[1]
            return self._orientation(frame).size((frame.height, frame.width))
        assert self._container is not None
        context = self._container.streams.video[0].codec_context
        if self.endless and context.height and context.width:
            return context.height, context.width
        ends = max(self._reached, _length(self._container) or 0.0)
        self.close()
        if 0 < ends <= self.reading.start_s:
            msg = (
                f"nothing is left of {self.word} from --from_s {self.reading.start_s:g} on: it "
                f"lasts {ends:.4g} s. Give an earlier time."
            )
        else:
            why = "; ".join(self.mishaps.notes) or "it is empty, damaged or cut off"
            msg = f"{self.word} gave no frame that can be decoded: {why}. Give {SOURCES}."
        raise DataError(msg)

    def _open(self) -> InputContainer:
        try:
            container = self._call()
        except LOST as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            msg = (
                f"{self.word} cannot be opened as video: {reason}. It is missing, truncated, empty "
                f"or no video; give {SOURCES}."
            )
            raise DataError(msg) from error
        if not container.streams.video:
            kinds = sorted({stream.type for stream in container.streams})
            container.close()
            msg = f"{self.word} holds no video, only {', '.join(kinds) or 'nothing'}."
            raise DataError(msg)
        return container

    def _call(self) -> InputContainer:
        target: Any = self._address
        options: dict[str, str] = {}
        kind = None
        if self._address == "-":
            target = sys.stdin.buffer
        elif self._address.startswith("camera:"):
            target, kind = f"/dev/video{self._address.removeprefix('camera:')}", "v4l2"
        elif self._address.startswith("/dev/video"):
            kind = "v4l2"
        elif "://" not in self._address:
            target = str(Path(self._address).absolute())  # `a:b.mp4` would be taken for an address
        if self._address.startswith("rtsp://"):
            options = {"rtsp_transport": "tcp"}
        if self.reading.sealed:
            options = SEALED
        wait = self.reading.stall_s if self.network else None
        return av.open(target, "r", format=kind, options=options, timeout=wait)

    def close(self) -> None:
        """Let go of the file or connection."""
        self._let_go()
        if self._container is not None:
            self._container.close()
            self._container = None

    def _let_go(self) -> None:
        """Drop what holds this source, so that its decoder goes with it and not at some time."""
        self._first, self._begun = None, iter(())

    def frames(self, size: tuple[int, int]) -> Iterator[VideoFrame]:
        """Give decoded frames, through repetitions of a file and returns of a stream."""
        pace = Pace(self.reading.realtime, self.stop)
        scaler, converter = VideoReformatter(), VideoReformatter()
        for number, (time_s, frame) in enumerate(self._all(self._clock)):
            if self.stop.is_set():
                return
            way = self._orientation(frame)
            found = way.size((frame.height, frame.width))
            self.mishaps.size_changes += found != self._last_size
            self._last_size = found
            height, width = way.size(size)
            scaled = scaler.reformat(frame, width, height, "rgb24")
            image = way.upright(scaled.to_ndarray())
            whole = None
            if self.reading.whole and found != size:
                whole = way.upright(converter.reformat(frame, format="rgb24").to_ndarray())
            pace.wait_for(time_s)
            yield VideoFrame(number, time_s, time.perf_counter(), image, found, whole)

    def _orientation(self, frame: AvFrame) -> Orientation:
        """Return how a frame is shown.

        Its matrix is read only where its angle is new: PyAV's side data and the frame hold each
        other, so each frame whose side data were looked at would stay in memory for a while.
        """
        if self._way is None or self._way.angle != frame.rotation:
            self._way = Orientation(frame)
        return self._way

    def _all(self, clock: _Clock) -> Iterator[Stamped]:
        first, session = self._first, self._begun
        self._let_go()
        session = session if first is None else itertools.chain([first], session)
        rounds = 0
        while not self.stop.is_set():
            yield from session
            rounds += 1
            if self.endless:
                if not self._reconnect(clock):
                    return
            elif self.reading.loop and rounds >= self.reading.loop:
                return
            else:
                self.close()
                self._container = self._open()
                clock.follow()
            session = self._session(clock, None)

    def _session(self, clock: _Clock, gaps: Gaps | None) -> Iterator[Stamped]:
        """Decode until the end, or until the stream is lost; count what is missing."""
        container = self._container
        assert container is not None
        stream = container.streams.video[0]
        stream.thread_type = "SLICE" if self.live else "AUTO"
        start = float((stream.start_time or 0) * (stream.time_base or 0))
        skip = self.reading.start_s
        if skip:
            with contextlib.suppress(*LOST, OverflowError):  # a pipe cannot: it is read up to there
                container.seek(int((start + skip) * av.time_base))
        for frame in self._decoded(container):
            stamp = None if frame.time is None else frame.time - start
            if skip and stamp is not None and stamp < skip:
                self._reached = max(self._reached, stamp)
                continue
            if gaps is not None and stamp is not None:
                gaps.add(stamp, float((frame.duration or 0) * (frame.time_base or 0)))
            yield clock.read(stamp), frame
        if gaps is not None and not self.endless and not self.stop.is_set():
            self._note_missing(gaps.missing(_length(container), stream.frames))

    def _decoded(self, container: InputContainer) -> Iterator[AvFrame]:
        """Decode frame after frame; what cannot be decoded is counted and left out."""
        for packet in self._packets(container):
            try:
                decoded = packet.decode()
            except LOST:
                self.mishaps.corrupt += 1
                continue
            for frame in decoded:
                if isinstance(frame, AvFrame) and not frame.is_corrupt:
                    yield frame
                else:
                    self.mishaps.corrupt += 1

    def _note_missing(self, frames: int) -> None:
        self.mishaps.lost = frames
        if frames:
            self.mishaps.notes.append(
                f"about {frames} frame(s) of {self.word} are missing, by its time stamps and length"
            )

    def _packets(self, container: InputContainer) -> Iterator[Packet[Any]]:
        """Read packets; damaged ones are counted and left out."""
        damaged = 0
        while not self.stop.is_set() and damaged < MOST_DAMAGED:
            try:
                for packet in container.demux(container.streams.video[0]):
                    damaged = 0
                    yield packet
            except DAMAGED:
                damaged += 1
                self.mishaps.corrupt += 1
            except LOST as error:
                if not self.stop.is_set():
                    reason = getattr(error, "strerror", None) or type(error).__name__
                    self.mishaps.notes.append(f"{self.word} broke off: {reason}")
                return
            else:
                return
        if damaged:
            self.mishaps.notes.append(f"{self.word}: {damaged} damaged packets in a row")

    def _reconnect(self, clock: _Clock) -> bool:
        """Call a lost stream until it answers; False when it is gone for good."""
        self.close()
        lost = time.monotonic()
        tries = 0
        while not self.stop.is_set() and time.monotonic() - lost < self.reading.reconnect_s:
            self.stop.wait(BACKOFF[min(tries, len(BACKOFF) - 1)])
            tries += 1
            try:
                self._container = self._open()
            except DataError:
                continue
            self.mishaps.reconnects += 1
            clock.resume()
            return True
        if not self.stop.is_set() and self.reading.reconnect_s:
            self.mishaps.notes.append(
                f"{self.word} did not come back within {self.reading.reconnect_s:g} s"
            )
        return False


def _length(container: InputContainer) -> float | None:
    """Return how many seconds of video a file announces, or None.

    Matroska says it of each stream in words (`DURATION`); a container's own length may be that of
    its sound.
    """
    stream = container.streams.video[0]
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    words = stream.metadata.get("DURATION", "").split(":")
    with contextlib.suppress(ValueError):
        hours, minutes, seconds = map(float, words)
        return 3600 * hours + 60 * minutes + seconds
    if container.duration is not None and len(container.streams) == 1:
        return container.duration / av.time_base
    return None


class _Clock:
    """Turns a stream's time stamps into times that only grow.

    Args:
        interval: nominal seconds between frames.
    """

    def __init__(self, interval: float) -> None:
        self.interval = interval
        self._last: float | None = None
        self._seen = 0.0
        self._shift = 0.0
        self._wanted: float | None = None

    def read(self, stamp: float | None) -> float:
        """Return the time of a frame whose stamp is given, or None for no stamp."""
        if stamp is not None and self._wanted is not None:
            self._shift, self._wanted = self._wanted - stamp, None
        time_s = None if stamp is None else stamp + self._shift
        if self._last is not None and (time_s is None or time_s <= self._last):
            time_s = self._last + self.interval
        self._last = 0.0 if time_s is None else time_s
        self._seen = time.monotonic()
        return self._last

    def follow(self) -> None:
        """The same file begins again: go on one interval after its last frame."""
        self._wanted = None if self._last is None else self._last + self.interval

    def resume(self) -> None:
        """A lost stream is back: go on by the time that passed."""
        if self._last is not None:
            self._wanted = self._last + max(self.interval, time.monotonic() - self._seen)
