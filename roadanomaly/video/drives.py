"""Frames sampled evenly from a person's drives, in two parts that share no stretch of time."""

from __future__ import annotations

import glob
import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from roadanomaly.data.image_arrays import SUFFIXES, read_array, scale_image, write_image
from roadanomaly.errors import DataError
from roadanomaly.files import files_in, is_stream
from roadanomaly.video.av_source import AvSource
from roadanomaly.video.source import Reading, public
from roadanomaly.video.sources import is_address

LEARN, HELD_OUT = "learn", "held_out"
"""Folders of the two parts."""

LEAST, FEW = 8, 40
"""Frames below which nothing can be learned, and below which a warning says that it is little."""

WHOLE = 4
"""Frames of a drive below which no stretch of it is held out, but all of it or none."""

SAMPLED = re.compile(r"([0-9]{3}|[1-9][0-9]{3,})_([0-9]{5}|[1-9][0-9]{5,})\.png")
"""Names of sampled frames: the drive's number, then the frame's, in 3 and 5 digits or more."""

CLOSEST_S = 0.25
"""Seconds between two frames of a video, at least: closer ones show the same."""

BLOCKS = 8
"""Stretches of time that a drive is cut into; every fourth is held out."""

ALIKE, SHARE = 3.0, 0.8
"""Grey levels by which neighbours differ in the mean where nothing moves, and how many may."""

Read = Callable[[], np.ndarray | None]


@dataclass(frozen=True)
class Drive:
    """One word of the command line: a video, or images in the order of their names.

    Args:
        name: for messages.
        frames: what reads each sampled frame, `(H, W, 3)` uint8 RGB, in the order of time.
        fps: of a video, or 0.
    """

    name: str
    frames: Sequence[Read]
    fps: float


@dataclass(frozen=True)
class Sampled:
    """What was written.

    Args:
        learn: number of frames to learn from.
        held_out: number of frames to set the threshold and to judge on.
        fps: of the first video, or 0 where there were images alone.
        warnings: what may make the frames worth little.
    """

    learn: int
    held_out: int
    fps: float
    warnings: list[str] = field(default_factory=list)


def open_drive(word: str, count: int) -> Drive:
    """Find out what a word names, and which frames of it to take.

    Args:
        word: a video file, a folder, a quoted glob or a file of images.
        count: frames to take at most, evenly spaced.

    Raises:
        DataError: there is no such thing, it is a live source, or its length is not known.
    """
    path = Path(word)
    if is_address(word) or is_stream(path):
        msg = f"{public(word)} has no end; record a drive first, and give the file."
        raise DataError(msg)
    if path.is_dir():
        images = files_in(path, SUFFIXES)
    else:
        matches = [path] if path.exists() else sorted(map(Path, glob.glob(word, recursive=True)))  # noqa: PTH207
        images = [one for one in matches if one.suffix.lower() in SUFFIXES]
    if images:
        return Drive(word, [_reading(images[place]) for place in _even(len(images), count)], 0)
    if path.is_dir() or not path.exists():
        what = "the folder holds no image" if path.is_dir() else "there is no such file or folder"
        msg = (
            f"{word} names no drive: {what}. Give a video file, or a folder or quoted glob of "
            f"images ({', '.join(SUFFIXES)})."
        )
        raise DataError(msg)
    return _video(word, count)


def _reading(path: Path) -> Read:
    return lambda: read_array(path)


def _video(word: str, count: int) -> Drive:
    source = AvSource(word, Reading())
    source.close()
    if not source.length_s:
        msg = (
            f"{word} does not say how long it is, so frames cannot be spread over it: write it "
            "anew (`ffmpeg -i IN -c copy OUT.mp4`), or give its frames as a folder of images."
        )
        raise DataError(msg)
    count = min(count, max(1, int(source.length_s / CLOSEST_S)))
    step = source.length_s / count
    times = [(place + 0.5) * step for place in range(count)]
    return Drive(word, [_at(word, time_s) for time_s in times], source.fps)


def _at(word: str, time_s: float) -> Read:
    """Return what reads the frame at a time of a video, or None where nothing can be decoded."""

    def read() -> np.ndarray | None:
        try:
            source = AvSource(word, Reading(start_s=time_s))
        except DataError:
            return None
        try:
            return next((one.image for one in source.frames(source.size)), None)
        finally:
            source.close()

    return read


def _even(count: int, wanted: int) -> list[int]:
    return np.linspace(0, count - 1, min(count, wanted)).round().astype(int).tolist()


def is_held_out(place: int, count: int) -> bool:
    """Tell whether a frame of a drive is held out: every fourth stretch of time is, or the last.

    Args:
        place: of the frame, from 0.
        count: frames of the drive.
    """
    blocks = BLOCKS if count >= 4 * BLOCKS else 4
    return place * blocks // count % 4 == 3


def parts_of(counts: Sequence[int]) -> list[list[str]]:
    """Return the part of each frame of each drive.

    A drive of fewer than `WHOLE` frames goes as a whole to where its last frame lies among those of
    all drives.

    Args:
        counts: frames of each drive.
    """
    total, passed, found = sum(counts), 0, []
    for count in counts:
        passed += count
        whole = is_held_out(passed - 1, total)
        held = [is_held_out(place, count) if count >= WHOLE else whole for place in range(count)]
        found.append([HELD_OUT if one else LEARN for one in held])
    return found


def sample(
    words: Sequence[str], count: int, out: Path, size: tuple[int, int] | None = None
) -> Sampled:
    """Write frames of drives as PNG files into `out/learn` and `out/held_out`.

    Args:
        words: of the command line, each a drive; each gives as many frames. Of more drives than
            frames some are left out, evenly.
        count: frames in all, at most.
        out: folder for both parts.
        size: height and width to bring them to; None keeps their own.

    Raises:
        DataError: a drive cannot be read, or there are too few frames.
        UserError: the folder cannot be written.
    """
    taken = [words[place] for place in _even(len(words), count)]
    drives = [open_drive(word, count // len(taken)) for word in taken]
    parts = parts_of([len(drive.frames) for drive in drives])
    for left in out.glob("*/*.png"):
        if SAMPLED.fullmatch(left.name):  # of a sampling that was broken off, or failed
            left.unlink()
    written, thumbnails = {LEARN: 0, HELD_OUT: 0}, []
    for number, drive in enumerate(drives):
        for place, (read, part) in enumerate(zip(drive.frames, parts[number], strict=True)):
            image = read()
            if image is None:
                continue
            image = image if size is None else scale_image(image, size)
            write_image(out / part / f"{number:03}_{place:05}.png", image)
            written[part] += 1
            thumbnails.append(cv2.resize(image, (32, 18), interpolation=cv2.INTER_AREA))
    _require_enough(written, taken)
    fps = next((drive.fps for drive in drives if drive.fps), 0.0)
    left_out = len(words) - len(taken)
    return Sampled(written[LEARN], written[HELD_OUT], fps, _warnings(thumbnails, left_out))


def _require_enough(written: dict[str, int], words: Sequence[str]) -> None:
    """Refuse too few frames, or none of a part.

    Raises:
        DataError: says how many there are, and of which part none.
    """
    total = sum(written.values())
    if total >= LEAST and all(written.values()):
        return
    named = ", ".join(words) if len(words) <= 3 else f"{words[0]} and {len(words) - 1} more"
    purposes = {LEARN: "learn from", HELD_OUT: "judge on"}
    empty = " and ".join(f"none to {purposes[part]}" for part, held in written.items() if not held)
    msg = (
        f"{named}: {total} frame(s) can be taken, at least {CLOSEST_S} s apart"
        f"{f', {empty}' if empty else ''}; at least {LEAST} are needed, some to learn from and "
        "some to judge on. Give a longer drive or more drives."
    )
    raise DataError(msg)


def _warnings(thumbnails: Sequence[np.ndarray], left_out: int) -> list[str]:
    found = []
    if left_out:
        found.append(
            f"{left_out} drives give no frame: --frames asks for fewer than there are drives."
        )
    if len(thumbnails) < FEW:
        found.append(
            f"only {len(thumbnails)} frames are taken: what is ordinary elsewhere on your "
            "roads stays unknown. Give a longer drive, more drives, or more --frames."
        )
    pairs = itertools.pairwise(thumbnails)
    steps = np.array([np.abs(a.astype(int) - b.astype(int)).mean() for a, b in pairs])
    if len(steps) and (steps < ALIKE).mean() > SHARE:
        found.append(
            "nearly all frames look alike, as of a parked car: they stand for few places. Give a "
            "drive that moves."
        )
    return found
