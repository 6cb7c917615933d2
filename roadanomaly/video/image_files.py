"""A folder of images, played as a video."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from roadanomaly.data.geometry import scale_image
from roadanomaly.data.images import read_image, to_array
from roadanomaly.errors import DataError
from roadanomaly.video.frames import VideoFrame
from roadanomaly.video.source import Pace, Reading, Source


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
