"""Which source a word on the command line names."""

from __future__ import annotations

import glob
import math
from pathlib import Path

from roadanomaly.data.image_arrays import SUFFIXES
from roadanomaly.errors import DataError, OptionError
from roadanomaly.files import files_in
from roadanomaly.video.av_source import AvSource
from roadanomaly.video.image_files import ImageFiles
from roadanomaly.video.source import SOURCES, Reading, Source


def is_address(word: str) -> bool:
    """Return whether a word names a camera, a stream or standard input, and no file."""
    return word == "-" or "://" in word or word.startswith(("camera:", "/dev/video"))


def open_source(word: str, reading: Reading | None = None) -> Source:
    """Open what a word names.

    Args:
        word: see `SOURCES`.
        reading: how to read it.

    Raises:
        DataError: nothing is there, or it holds no video.
        OptionError: a rate or time out of its range.
    """
    reading = reading or Reading()
    positive = reading.fps, reading.stall_s
    others = reading.loop, reading.start_s, reading.reconnect_s
    if not (all(0 < value < math.inf for value in positive) and all(v >= 0 for v in others)):
        msg = (
            "--fps and --stall_s must be positive numbers; --loop, --from_s and --reconnect_s not "
            "negative."
        )
        raise OptionError(msg)
    if is_address(word):
        return AvSource(word, reading)
    path = Path(word)
    if path.is_dir():
        images = files_in(path, SUFFIXES)
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
