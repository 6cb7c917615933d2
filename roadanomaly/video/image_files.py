"""A folder of images, played as a video."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from roadanomaly.data.image_arrays import read_array, scale_image
from roadanomaly.errors import DataError
from roadanomaly.video.frames import VideoFrame
from roadanomaly.video.source import Pace, Reading, Source


class ImageFiles(Source):
    """Images in the order of their names.

    Args:
        paths: at least one.
        reading: its rate, pace, beginning and repetitions.

    Raises:
        DataError: no image can be read, or none is left from `start_s` on.
    """

    def __init__(self, paths: list[Path], reading: Reading) -> None:
        live = reading.realtime if reading.live is None else reading.live
        super().__init__(str(paths[0].parent), live)
        self.reading = reading
        self.fps = reading.fps
        self._skipped = self._before_start(len(paths))
        self.paths = paths[self._skipped :]
        self.size = self._first_size()

    def _before_start(self, count: int) -> int:
        """Return how many images lie before `start_s`."""
        start_s = self.reading.start_s
        places = (place for place in range(count) if place / self.fps >= start_s)
        first = next(places, None)
        if first is None:
            msg = (
                f"nothing is left of {self.name} from --from_s {start_s:g} on: its {count} images "
                f"last {count / self.fps:.4g} s at --fps {self.fps:g}. Give an earlier time."
            )
            raise DataError(msg)
        return first

    def _first_size(self) -> tuple[int, int]:
        reasons = []
        for path in self.paths:
            try:
                height, width = read_array(path).shape[:2]
            except DataError as error:
                reasons.append(error)
            else:
                return height, width
        if len(reasons) == 1:
            raise reasons[0]
        msg = f"none of the {len(reasons)} images in {self.name} can be read. {reasons[0]}"
        raise DataError(msg)

    def _read(self, path: Path) -> np.ndarray | None:
        try:
            return read_array(path)
        except DataError:
            self.mishaps.corrupt += 1
            return None

    def frames(self, size: tuple[int, int]) -> Iterator[VideoFrame]:
        """Give the images at a constant rate, those that cannot be read left out.

        A folder without any that can be read, since somebody emptied it, is at its end.
        """
        last_size = self.size
        rounds = self.reading.loop or 10**9
        pace = Pace(self.reading.realtime, self.stop)
        for turn in range(rounds):
            given = 0
            for place, path in enumerate(self.paths):
                number = turn * len(self.paths) + place
                time_s = (self._skipped + number) / self.fps
                image = self._read(path)
                if image is not None:
                    pace.wait_for(time_s)
                if self.stop.is_set():
                    return
                if image is None:
                    continue
                given += 1
                found = (image.shape[0], image.shape[1])
                self.mishaps.size_changes += found != last_size
                last_size = found
                scaled = scale_image(image, size)
                whole = image if self.reading.whole else None
                yield VideoFrame(number, time_s, time.perf_counter(), scaled, found, whole)
            if not given:
                self.mishaps.notes.append(f"no image of {self.name} can be read any more")
                return
