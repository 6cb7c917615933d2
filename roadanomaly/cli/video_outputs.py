"""The files that `roadanomaly video` writes: of one stream as named, of several with a number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

from jsonargparse import Namespace

from roadanomaly.data.image_arrays import SUFFIXES as IMAGES
from roadanomaly.errors import OptionError
from roadanomaly.video.frames import Judged
from roadanomaly.video.runner import Sink
from roadanomaly.video.sinks import ComponentFile, EventFile, OverlayVideo, ScoreVideo
from roadanomaly.video.source import SUFFIXES as VIDEOS
from roadanomaly.video.writer import check_encodable


@dataclass(frozen=True)
class Outputs:
    """Where one stream's results go; None: nowhere.

    Args:
        out: overlay video.
        events: a line each.
        components: a line a frame.
        score_video: rarities.
        stats: figures at the end.
    """

    out: Path | None
    events: Path | None
    components: Path | None
    score_video: Path | None
    stats: Path | None

    @property
    def paths(self) -> list[Path]:
        """Those that are written."""
        return [path for path in astuple(self) if path is not None]

    def check_size(self, size: tuple[int, int]) -> None:
        """Refuse scored frames `(H, W)` that no video can hold, where one is asked for.

        Raises:
            OptionError: says which.
        """
        if self.out or self.score_video:
            check_encodable(size)

    def sinks(self, size: tuple[int, int], fps: float, line: Callable[[Judged], str]) -> list[Sink]:
        """Open the outputs; events first, since they matter most.

        Args:
            size: `(H, W)` of the scored frames.
            fps: nominal.
            line: gives the text at the top of an overlay.
        """
        sinks: list[Sink] = []
        if self.events:
            sinks.append(EventFile(self.events))
        if self.components:
            sinks.append(ComponentFile(self.components))
        if self.out:
            sinks.append(OverlayVideo(self.out, size, fps, line))
        if self.score_video:
            sinks.append(ScoreVideo(self.score_video, size, fps))
        return sinks


def outputs_of(given: Namespace) -> list[Outputs]:
    """Return the outputs of each source: `e.jsonl`, or `e.1.jsonl` and so on where there are more.

    Raises:
        OptionError: an ending of no video, or of no text, one file in two parts, an output that
            is an input, or a device for several sources.
    """
    for name in ("out", "score_video"):
        value = getattr(given, name)
        if value is not None and not value.lower().endswith((".mp4", ".m4v", ".mov")):
            msg = f"--{name} {value}: an H.264 video is written; give a name that ends in .mp4."
            raise OptionError(msg)
    for name, ending in (("events", ".jsonl"), ("components", ".jsonl"), ("stats", ".json")):
        value = getattr(given, name)
        if value is not None and value.lower().endswith((*IMAGES, *VIDEOS)):
            msg = (
                f"--{name} {value}: text is written, and this is the name of a picture or a "
                f"video; give one that ends in {ending}."
            )
            raise OptionError(msg)
    count = len(given.sources)
    names = (given.out, given.events, given.components, given.score_video, given.stats)
    for name in names if count > 1 else ():
        if name is not None and _is_device(Path(name)):
            msg = f"{name} is no file, and of several sources each gets a file; name one."
            raise OptionError(msg)
    found = [
        Outputs(*(_numbered(name, number if count > 1 else None) for name in names))
        for number in range(1, count + 1)
    ]
    named = [str(path.absolute()) for one in found for path in one.paths]
    inputs = [str(Path(path).absolute()) for path in (*given.sources, given.truth) if path]
    if len(set(named)) < len(named) or set(named) & set(inputs) or _same_files(named, inputs):
        msg = "two outputs, or an output and the source, are the same file; give each its own."
        raise OptionError(msg)
    return found


def _is_device(path: Path) -> bool:
    """Whether a name with a number in it would not lie where this one leads, as of /dev/stdout."""
    return path.absolute().is_relative_to("/dev") or (path.exists() and not path.is_file())


def _numbered(name: str | None, number: int | None) -> Path | None:
    if name is None or number is None:
        return None if name is None else Path(name)
    path = Path(name)
    return path.with_name(f"{path.stem}.{number}{path.suffix}")


def _same_files(outputs: Sequence[str], inputs: Sequence[str]) -> bool:
    """Whether an output is an input under another name, by a link."""
    there = [Path(path) for path in inputs if Path(path).is_file()]
    return any(
        Path(output).is_file() and any(Path(output).samefile(path) for path in there)
        for output in outputs
    )
