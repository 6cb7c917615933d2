"""H.264 video that is playable at any moment, even if the program is killed."""

from __future__ import annotations

import contextlib
import io
from fractions import Fraction
from itertools import count
from pathlib import Path
from typing import Any

import av
import av.error
import numpy as np
from av.video.frame import VideoFrame as AvFrame

from roadanomaly.errors import OptionError, UserError

CLOCK = Fraction(1, 90_000)
FRAGMENTS = {"movflags": "frag_keyframe+empty_moov+default_base_moof", "flush_packets": "1"}
FAILED = (av.error.FFmpegError, OSError, ValueError)


class WholeFile(io.FileIO):
    """A file that takes all bytes or raises; FFmpeg's own files end silently on a full disk.

    Args:
        path: of the file, which begins empty.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, "wb")

    def write(self, content: Any) -> int:
        """Write all of it.

        Raises:
            OSError: there is no room, or the file is gone.
        """
        left = memoryview(content)
        while left:
            left = left[super().write(left) :]
        return len(content)


def check_encodable(size: tuple[int, int]) -> None:
    """Refuse frames `(H, W)` that H.264 cannot hold: a pair of rows and of columns share a colour.

    Raises:
        OptionError: says which.
    """
    if min(size) < 2:
        msg = (
            f"frames of {size[1]}x{size[0]} pixels cannot be written as a video: give at least 2 "
            "a side, by --size WxH or larger frames."
        )
        raise OptionError(msg)


class VideoWriter:
    """Writes frames with their own times into a fragmented MP4.

    Each second or so a fragment is closed; whatever stops the program, what was written until
    then plays. When the encoder fails, a continuation file `<name>_2.mp4` is begun, once; a file
    of that name is left as it is, and the next number taken. One that stays empty is removed.

    Args:
        path: of the file; its folder is made.
        size: `(H, W)`; an odd side loses its last row or column.
        fps: nominal frames a second.

    Raises:
        OptionError: frames of less than 2 pixels a side.
        UserError: the file cannot be written.
    """

    def __init__(self, path: Path, size: tuple[int, int], fps: float) -> None:
        check_encodable(size)
        self.path = path
        self.paths = [path]
        self.size = (size[0] // 2 * 2, size[1] // 2 * 2)
        self.fps = fps
        self.frames = 0
        self.fault: str | None = None
        self._last = -1
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._open(path)
        except FAILED as error:
            raise UserError(_refusal(path, error)) from error

    def _open(self, path: Path) -> None:
        self._file = WholeFile(path)
        container = av.open(self._file, "w", format="mp4", options=FRAGMENTS)
        stream = container.add_stream("libx264", rate=Fraction(self.fps).limit_denominator(1001))
        stream.height, stream.width = self.size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = CLOCK
        stream.codec_context.gop_size = max(1, round(self.fps))
        stream.codec_context.thread_count = 1
        stream.options = {"preset": "ultrafast", "tune": "zerolatency", "crf": "21"}
        self._container, self._stream = container, stream

    def write(self, picture: np.ndarray, time_s: float) -> None:
        """Add a frame, `(H, W, 3)` uint8 RGB, at a time that grows from frame to frame."""
        if self.fault is not None and len(self.paths) > 2:
            return
        stamp = max(self._last + 1, round(time_s / CLOCK))
        try:
            self._encode(picture, stamp)
        except FAILED as error:
            self._continue(error, picture, stamp)
        self._last = stamp

    def _encode(self, picture: np.ndarray, stamp: int) -> None:
        height, width = self.size
        frame = AvFrame.from_ndarray(np.ascontiguousarray(picture[:height, :width]), "rgb24")
        frame.pts, frame.time_base = stamp, CLOCK
        self._container.mux(self._stream.encode(frame))
        self.frames += 1

    def _continue(self, error: Exception, picture: np.ndarray, stamp: int) -> None:
        """Close what is there and go on in another file; give up at the second failure."""
        fault = f"{self.paths[-1]} stops at {float(stamp * CLOCK):.2f} s: {_reason(error)}"
        self.fault = fault if self.fault is None else f"{self.fault}; {fault}"
        self._finish()
        if len(self.paths) == 1:
            following = self._following()
            try:
                self._open(following)
                self.paths.append(following)
                self._encode(picture, stamp)
            except FAILED as second:
                self.fault += f"; {following}: {_reason(second)}"
                self.paths += [following] * (3 - len(self.paths))
                self._finish()
                if following.is_file() and not following.stat().st_size:
                    following.unlink()
        else:
            self.paths.append(self.paths[-1])

    def _following(self) -> Path:
        names = (f"{self.path.stem}_{number}{self.path.suffix}" for number in count(2))
        return next(path for path in map(self.path.with_name, names) if not path.exists())

    def _finish(self) -> None:
        with contextlib.suppress(*FAILED):
            self._container.mux(self._stream.encode(None))
        with contextlib.suppress(*FAILED):
            self._container.close()
        with contextlib.suppress(*FAILED):
            self._file.close()

    def close(self) -> None:
        """Write what the encoder still holds; a failure is kept in `fault`."""
        if self.fault is not None and len(self.paths) > 2:
            return
        try:
            self._container.mux(self._stream.encode(None))
            self._container.close()
            self._file.close()
        except FAILED as error:
            self.fault = self.fault or f"{self.paths[-1]} may lack its end: {_reason(error)}"


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _refusal(path: Path, error: Exception) -> str:
    return (
        f"the video {path} cannot be written: {_reason(error)}. Choose another place, or make this "
        "one writable and see that it has room."
    )
