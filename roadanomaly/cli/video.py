"""`roadanomaly video`: anomalies in a camera, a stream, a file or a folder, live."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from jsonargparse import Namespace
from tqdm import tqdm

from roadanomaly.cli import video_options as options
from roadanomaly.cli.parsing import new_parser, parse
from roadanomaly.errors import OptionError
from roadanomaly.files import check_writable, write_text
from roadanomaly.locks import holding
from roadanomaly.video.frames import Judged
from roadanomaly.video.runner import Runner, Sink
from roadanomaly.video.signals import stop_on_signals
from roadanomaly.video.sinks import ComponentFile, EventFile, OverlayVideo, ScoreVideo
from roadanomaly.video.source import SOURCES, Source
from roadanomaly.video.sources import open_source
from roadanomaly.video.truth import Tally, read_truth

TRUTH = "CSV of boxes of the object (frame,x0,y0,x1,y1), or `none` to call each event false"
EXAMPLES = """
roadanomaly video runs/a drive.mp4 --out overlay.mp4 --events events.jsonl --stats stats.json
roadanomaly video runs/a rtsp://camera/street --backend openvino --size 640x360 --events e.jsonl
roadanomaly video runs/a frames/ --fps 25 --motion flow --out overlay.mp4
roadanomaly video exported camera:0 --out overlay.mp4
roadanomaly video runs/a frames/ --truth boxes.csv
ffmpeg -i drive.mkv -f mpegts - | roadanomaly video runs/a - --events events.jsonl
"""


def run(arguments: Sequence[str]) -> None:
    """Run to the end of the source, or until Ctrl-C; what was found is kept either way."""
    parser = new_parser("video", __doc__ or "", EXAMPLES)
    parser.usage = "roadanomaly video MODEL SOURCE [--out OVERLAY.mp4] [--events FILE] [options]"
    parser.add_argument("model", help="folder of a saved model, a run or an export")
    parser.add_argument("source", help=SOURCES)
    parser.add_argument("--out", type=str, default=None, help="overlay video, .mp4")
    parser.add_argument("--events", type=str, default=None, help="events, a JSON object a line")
    parser.add_argument("--components", type=str, default=None, help="components, a line a frame")
    parser.add_argument("--score_video", type=str, default=None, help="video of rarities, .mp4")
    parser.add_argument("--stats", type=str, default=None, help="figures at the end, JSON")
    parser.add_argument("--truth", type=str, default=None, help=TRUTH)
    options.add_model_options(parser)
    options.add_source_options(parser)
    given = parse(parser, arguments)
    outputs = _check_outputs(given)
    with ExitStack() as held:
        for path in outputs:
            file, what = f".{path.name}.lock", f"the output {path}"
            held.enter_context(holding(path.parent, ["video", *arguments], file=file, what=what))
        _run(given)


def _run(given: Namespace) -> None:
    truth = None if given.truth is None else read_truth(given.truth)
    reading = options.reading(given)
    source = open_source(given.source, reading)
    for path in _outputs(given):
        check_writable(path)
    opened = options.open_model(given)
    size = options.scored_size(given, opened, source.size)
    judge = options.judge(given, opened)
    sys.stderr.write(f"{source.name}: {_describe(source)}; preparing the model\n")
    runtime = opened.runtime(size)
    progress = _Progress()
    sinks = _sinks(given, size, source.fps, progress)
    tally = None if truth is None else Tally(truth, opened.classes)
    if tally is not None:
        sinks.append(tally)
    runner = Runner(
        source,
        runtime,
        judge,
        sinks,
        patience_s=3 * reading.stall_s + reading.reconnect_s if source.live else None,
        on_frame=progress.show,
    )
    progress.runner = runner
    try:
        with stop_on_signals(runner.stop) as signals:
            runner.run()
    finally:
        progress.bar.close()
        figures = {**runner.statistics(), **options.about(given, opened)}
        if tally is not None:
            figures["truth"] = tally.summary()
        if given.stats and runner.meter.frames:
            write_text(Path(given.stats), json.dumps(figures, indent=1) + "\n")
    sys.stdout.write(summary(figures) + "\n")
    if signals:
        msg = f"stopped by {signals[0]}; what was written is complete up to there."
        raise KeyboardInterrupt(msg)


def _check_outputs(given: Any) -> list[Path]:
    """Return the files that will be written; a device or a pipe is not held.

    Raises:
        OptionError: an ending of no video, or one file in two parts.
    """
    for name in ("out", "score_video"):
        value = getattr(given, name)
        if value is not None and not value.lower().endswith((".mp4", ".m4v", ".mov")):
            msg = f"--{name} {value}: an H.264 video is written; give a name that ends in .mp4."
            raise OptionError(msg)
    named = [str(path.absolute()) for path in _outputs(given)]
    inputs = [str(Path(path).absolute()) for path in (given.source, given.truth) if path]
    if len(set(named + inputs)) < len(named + inputs) or _same_files(named, inputs):
        msg = "two outputs, or an output and the source, are the same file; give each its own."
        raise OptionError(msg)
    return [path for path in _outputs(given) if path.is_file() or not path.exists()]


def _same_files(outputs: Sequence[str], inputs: Sequence[str]) -> bool:
    """Whether an output is an input under another name, by a link."""
    there = [Path(path) for path in inputs if Path(path).is_file()]
    return any(
        Path(output).is_file() and any(Path(output).samefile(path) for path in there)
        for output in outputs
    )


def _outputs(given: Any) -> list[Path]:
    paths = [given.out, given.events, given.components, given.score_video, given.stats]
    return [Path(path) for path in paths if path is not None]


def _describe(source: Source) -> str:
    height, width = source.size
    kind = "live" if source.live else "every frame is scored"
    return f"{width}x{height}, {source.fps:.4g} fps, {kind}"


def _sinks(given: Any, size: tuple[int, int], fps: float, progress: _Progress) -> list[Sink]:
    """Open the outputs; events first, since they matter most."""
    sinks: list[Sink] = []
    if given.events:
        sinks.append(EventFile(Path(given.events)))
    if given.components:
        sinks.append(ComponentFile(Path(given.components)))
    if given.out:
        sinks.append(OverlayVideo(Path(given.out), size, fps, progress.line))
    if given.score_video:
        sinks.append(ScoreVideo(Path(given.score_video), size, fps))
    return sinks


class _Progress:
    """A line on the terminal and one on the overlay, from the runner's own figures."""

    runner: Runner

    def __init__(self) -> None:
        self.bar = tqdm(unit="frame", disable=not sys.stderr.isatty())
        self._late = ""

    def show(self, judged: Judged) -> None:
        """Renew the figures every so often."""
        self.bar.update()
        meter = self.runner.meter
        if meter.frames % 10 == 1:
            p95 = meter.latency.percentile(95) or 0
            dropped = self.runner.statistics()["dropped"] if self.runner.source.live else 0
            self._late = f"{meter.fps:.1f} fps  p95 {p95:.0f} ms" + (
                f"  {dropped} dropped" if dropped else ""
            )
            self.bar.set_postfix_str(self._late)

    def line(self, judged: Judged) -> str:
        """Return what stands at the top of a frame."""
        alarms = sum(sighting.alarm for sighting in judged.sightings)
        return f"{judged.frame.time_s:.1f} s  {self._late}" + (
            f"  ALARM {alarms}" if alarms else ""
        )


def summary(figures: dict[str, Any]) -> str:
    """Return the figures in a few lines for people."""
    late = figures["latency_ms"]
    lines = [
        f"{figures['frames']} frames at {figures['fps']:g} fps ({figures['backend']} "
        f"{figures['precision']}, {figures['size']}), {figures['events']} events",
        f"latency p50 {late['p50']} ms, p95 {late['p95']} ms, p99 {late['p99']} ms; "
        f"{figures['dropped']} dropped, {figures['corrupt']} corrupt, {figures['lost']} lost, "
        f"{figures['reconnects']} reconnects",
        *(f"note: {note}" for note in figures["notes"]),
    ]
    return "\n".join(lines + ([against_truth(figures["truth"])] if "truth" in figures else []))


def against_truth(counts: dict[str, Any]) -> str:
    """Return what a tally says, in a line or two."""
    on = ", ".join(f"{count} on {name}" for name, count in counts["false_on"].items())
    false = (
        f"{counts['false_events']} false events{f' ({on})' if on else ''}, "
        f"{counts['false_events_per_minute']} a minute"
    )
    if not counts["object_frames"]:
        return false
    return (
        f"the object: seen on {counts['object_frames']} frames, alarmed on "
        f"{counts['object_frames_alarmed']}, by {counts['object_ids']} event(s)\n{false}"
    )
