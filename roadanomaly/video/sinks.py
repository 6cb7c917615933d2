"""Where results go: overlay and score videos, event and component logs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from roadanomaly.video.frames import Event, Judged
from roadanomaly.video.log import LineLog
from roadanomaly.video.overlay import draw, heat_picture
from roadanomaly.video.writer import VideoWriter


class OverlayVideo:
    """Frames with masks, boxes and a line of figures.

    Args:
        path: of the MP4.
        size: `(H, W)`.
        fps: nominal.
        line: gives the text at the top of a frame.
    """

    def __init__(
        self, path: Path, size: tuple[int, int], fps: float, line: Callable[[Judged], str]
    ) -> None:
        self._writer = VideoWriter(path, size, fps)
        self._line = line

    def take(self, judged: Judged) -> None:
        """Draw and encode a frame."""
        self._writer.write(draw(judged, self._line(judged)), judged.frame.time_s)

    def close(self, last: Sequence[Event]) -> str | None:
        """Finish the file."""
        self._writer.close()
        return self._writer.fault


class ScoreVideo:
    """Rarity of each pixel in colours.

    Args:
        path: of the MP4.
        size: `(H, W)`.
        fps: nominal.
    """

    def __init__(self, path: Path, size: tuple[int, int], fps: float) -> None:
        self._writer = VideoWriter(path, size, fps)

    def take(self, judged: Judged) -> None:
        """Colour and encode a frame."""
        self._writer.write(heat_picture(judged.scores.rarity), judged.frame.time_s)

    def close(self, last: Sequence[Event]) -> str | None:
        """Finish the file."""
        self._writer.close()
        return self._writer.fault


class EventFile:
    """`events.jsonl`: an object a line, written when its event ends.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self._log = LineLog(path, durable=True)

    def take(self, judged: Judged) -> None:
        """Write the events that ended with this frame."""
        for event in judged.ended:
            self._log.write(event.as_dict())

    def close(self, last: Sequence[Event]) -> str | None:
        """Write the events that end with the video."""
        for event in last:
            self._log.write(event.as_dict())
        return self._log.close()


class ComponentFile:
    """A line a frame, with its tracked components.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self._log = LineLog(path)

    def take(self, judged: Judged) -> None:
        """Write a frame's components."""
        frame = judged.frame
        found = [sighting.as_dict() for sighting in judged.sightings]
        self._log.write(
            {"frame": frame.number, "time_s": round(frame.time_s, 4), "components": found}
        )

    def close(self, last: Sequence[Event]) -> str | None:
        """Finish the file."""
        return self._log.close()
