"""`roadanomaly video`: anomalies in cameras, streams, files or folders, live."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from jsonargparse import Namespace
from tqdm import tqdm

from roadanomaly.cli import video_options as options
from roadanomaly.cli.parsing import new_parser, parse
from roadanomaly.cli.thresholds import check_thresholds
from roadanomaly.cli.video_outputs import Outputs, outputs_of
from roadanomaly.data.image_arrays import SUFFIXES as IMAGES
from roadanomaly.errors import OptionError
from roadanomaly.files import check_writable, is_stream, write_text
from roadanomaly.locks import holding
from roadanomaly.runtimes import Scorer
from roadanomaly.runtimes.ready import Opened, scorers
from roadanomaly.video.frames import Box, Judged
from roadanomaly.video.runner import Runner
from roadanomaly.video.signals import stop_on_signals
from roadanomaly.video.source import SOURCES, Source, public
from roadanomaly.video.source import SUFFIXES as VIDEOS
from roadanomaly.video.sources import open_source
from roadanomaly.video.streams import raise_first, run_together
from roadanomaly.video.truth import Tally, read_truth

TRUTH = "CSV of boxes of the object (frame,x0,y0,x1,y1), or `none` to call each event false"
SEVERAL = "; of several, frames of equal size are scored together, and outputs get a number each"
EXAMPLES = """
roadanomaly video drive.mp4 --sensitivity low --out overlay.mp4
roadanomaly video runs/a drive.mp4 --out overlay.mp4 --events events.jsonl --stats stats.json
roadanomaly video runs/a rtsp://camera/street --backend openvino --size 640x360 --events e.jsonl
roadanomaly video runs/a left.mp4 right.mp4 --device cuda --precision bf16 --out overlay.mp4
roadanomaly video runs/a frames/ --fps 25 --motion flow --out overlay.mp4
roadanomaly video exported camera:0 --provider tensorrt --out overlay.mp4
roadanomaly video runs/a frames/ --truth boxes.csv
ffmpeg -i drive.mkv -f mpegts - | roadanomaly video runs/a - --events events.jsonl
"""


def run(arguments: Sequence[str]) -> None:
    """Run to the end of the sources, or until Ctrl-C; what was found is kept either way."""
    parser = new_parser("video", __doc__ or "", EXAMPLES)
    parser.usage = (
        "roadanomaly video [RUN] SOURCE [SOURCE ...] [--out OVERLAY.mp4] [--events FILE] [options]"
    )
    parser.add_argument("sources", nargs="+", help=f"{options.BEFORE}{SOURCES}{SEVERAL}")
    parser.add_argument("--out", type=str, default=None, help="overlay video, .mp4")
    parser.add_argument("--events", type=str, default=None, help="events, a JSON object a line")
    parser.add_argument("--components", type=str, default=None, help="components, a line a frame")
    parser.add_argument("--score_video", type=str, default=None, help="video of rarities, .mp4")
    parser.add_argument("--stats", type=str, default=None, help="figures at the end, JSON")
    parser.add_argument("--truth", type=str, default=None, help=TRUTH)
    options.add_model_options(parser)
    options.add_source_options(parser)
    options.add_playing_options(parser)
    given = parse(parser, arguments)
    check_thresholds(given)
    readings = options.inputs("source", VIDEOS + IMAGES)
    given.model, given.sources = readings.split(given.sources, given.model)
    if given.truth not in (None, "none"):
        _check_truth(given)
    outputs = outputs_of(given)
    files = [path for one in outputs for path in one.paths]
    with ExitStack() as held:
        for path in files:
            if not path.is_dir() and not is_stream(path):
                name, what = f".{path.name}.lock", f"the output {path}"
                words = ["video", *map(public, arguments)]
                held.enter_context(holding(path.parent, words, file=name, what=what))
        _run(given, outputs)


def _check_truth(given: Namespace) -> None:
    """Refuse boxes of frames that are not numbered as the one file has them.

    Raises:
        OptionError: says what they go with.
    """
    if len(given.sources) > 1:
        msg = "--truth says where the object of one source is; give that source alone, or `none`."
        raise OptionError(msg)
    if given.from_s or given.loop != 1:
        msg = (
            f"--truth {given.truth} numbers the frames from the start of the source, played once; "
            "leave out --from_s and --loop, or give `none`."
        )
        raise OptionError(msg)


def _run(given: Namespace, outputs: Sequence[Outputs]) -> None:
    truth = None if given.truth is None else read_truth(given.truth)
    reading = options.reading(given)
    sources = [open_source(word, reading) for word in given.sources]
    for path in (path for one in outputs for path in one.paths):
        check_writable(path)
    opened = options.open_model(given, classes=truth is not None)
    sizes = [options.scored_size(given, opened, source.size) for source in sources]
    for one, size in zip(outputs, sizes, strict=True):
        one.check_size(size)
    options.rules(given, opened)
    for source in sources:
        sys.stderr.write(f"{source.name}: {_describe(source)}; preparing the model\n")
    runtimes = scorers(opened, sizes)
    sys.stderr.write(options.readiness(runtimes[0]))
    streams = [
        _Stream(given, opened, *parts, truth)
        for parts in zip(sources, runtimes, outputs, strict=True)
    ]
    runners = [stream.runner for stream in streams]

    def stop() -> None:
        for runner in runners:
            runner.stop()

    try:
        with stop_on_signals(stop) as signals:
            faults = run_together(runners)
    finally:
        for stream in streams:
            stream.finish()
    for stream, fault in zip(streams, faults, strict=True):
        if fault is None and stream.figures["frames"]:
            heading = f"{stream.runner.source.name}: " if len(streams) > 1 else ""
            sys.stdout.write(f"{heading}{summary(stream.figures)}\n")
    raise_first(faults)
    if signals:
        msg = f"stopped by {signals[0]}; what was written is complete up to there."
        raise KeyboardInterrupt(msg)


class _Stream:
    """One source on its way through the model, with its outputs and figures."""

    def __init__(
        self,
        given: Namespace,
        opened: Opened,
        source: Source,
        runtime: Scorer,
        outputs: Outputs,
        truth: dict[int, Box] | None,
    ) -> None:
        self.progress = _Progress()
        self.figures: dict[str, Any] = {}
        self._about = options.about(given, opened)
        self._stats = outputs.stats
        self._tally = None if truth is None else Tally(truth, opened.classes, source.fps)
        sinks = outputs.sinks(runtime.size, source.fps, self.progress.line)
        patience_s = 3 * given.stall_s + given.reconnect_s if source.live else None
        self.runner = self.progress.runner = Runner(
            source,
            runtime,
            options.judge(given, opened),
            sinks if self._tally is None else [*sinks, self._tally],
            patience_s=patience_s,
            on_frame=self.progress.show,
        )

    def finish(self) -> None:
        """Gather the figures, and write them where something was scored."""
        self.progress.bar.close()
        self.figures = {**self.runner.statistics(), **self._about}
        if self._tally is not None:
            self.figures["truth"] = self._tally.summary()
        if self._stats and self.runner.meter.frames:
            write_text(self._stats, json.dumps(self.figures, indent=1) + "\n")


def _describe(source: Source) -> str:
    height, width = source.size
    kind = "live" if source.live else "every frame is scored"
    return f"{width}x{height}, {source.fps:.4g} fps, {kind}"


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
