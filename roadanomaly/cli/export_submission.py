"""`roadanomaly export submission`: what a benchmark accepts, from a model or from score maps.

It scores all frames, writes the files, reads each back, compares the metrics before and after on
the frames with public truth, and packs the archive. Stopped in the middle, the same command goes
on where it was.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jsonargparse.typing import NonNegativeInt

from roadanomaly.calibration import SENSITIVITIES, Calibration
from roadanomaly.cli.computing import add_computing, check_computing
from roadanomaly.cli.models import pick_device
from roadanomaly.cli.parsing import DEVICES, new_parser, parse
from roadanomaly.cli.thresholds import check_thresholds, with_threshold
from roadanomaly.cli.which_model import add_model, the_model
from roadanomaly.data.benchmark import BenchmarkSet
from roadanomaly.data.roots import shorten
from roadanomaly.detectors import DETECTORS
from roadanomaly.errors import DataError, OptionError, nearest
from roadanomaly.evaluation.sources import options_of
from roadanomaly.evaluation.submission import BENCHMARKS, Submission
from roadanomaly.evaluation.submission.base import Settings, Track
from roadanomaly.evaluation.submission.export import Export, Report
from roadanomaly.evaluation.submission.frames import choose_tracks, open_frames
from roadanomaly.evaluation.submission.plan import State
from roadanomaly.evaluation.submission.proof import as_lines
from roadanomaly.evaluation.submission.source import ModelScores, Source, StoredMaps
from roadanomaly.files import in_words
from roadanomaly.locks import holding
from roadanomaly.model import Model, load
from roadanomaly.models import folder_of
from roadanomaly.progress import progress
from roadanomaly.weights_hash import spelled, weights_hash

EXAMPLES = """
roadanomaly export submission --for smiyc-anomaly --root /data --out out/anomaly
roadanomaly export submission runs/a --for smiyc-anomaly --root /data --out out/anomaly
roadanomaly export submission --scores my/maps --for smiyc-obstacle --root /data --out out/o
roadanomaly export submission --scores my/maps --for laf --split testNoKnown --out out/laf
roadanomaly export submission runs/a --for fishyscapes --root /data --out out/fishyscapes
roadanomaly export submission runs/a --for oodis --false_alarms 0.001 --out out/oodis
roadanomaly export submission --for oodis --sensitivity low --root /data --out out/oodis
roadanomaly export submission runs/a --for smiyc-anomaly --out out/anomaly --dry-run
"""
MIN_AREA = 50


def run(arguments: Sequence[str]) -> None:
    """Export, and print what was written and proven."""
    given = parse(_parser(), arguments)
    kind = _benchmark(given["for"])
    if given.scores is None:
        given.model = the_model(given.run, given.model)
    elif given.run or given.model:
        msg = "give a model, or --scores with a folder of score maps, one of both."
        raise OptionError(msg)
    check_thresholds(given)
    check_computing(given.precision)
    if given.scores and given.precision != "f32":
        msg = "--precision is of networks, and --scores takes maps from files; leave out one."
        raise OptionError(msg)
    if given.out is None:
        msg = "give a new folder to write the submission into: --out DIR"
        raise OptionError(msg)
    tracks = _open(kind, given)
    model = None if given.model is None else load(given.model, pick_device(given.device))
    if model is not None:
        model.precision = given.precision
    submission = kind(Path(given.out), _settings(given, model))
    export = Export(submission, _source(given, model, kind), tracks, progress)
    if given.dry_run:
        _rehearse(export, State.NEW if given.restart else export.state())
        return
    with holding(Path(given.out), ["export", "submission", *arguments]):
        if given.restart:
            export.restart()
        elif export.state() is State.BEGUN:
            sys.stdout.write(f"{given.out}: going on where the last run stopped\n")
        _print(export.run(), submission)


def _parser() -> Any:
    parser = new_parser("export submission", __doc__ or "", EXAMPLES)
    parser.usage = (
        "roadanomaly export submission [RUN | --scores DIR] --for BENCHMARK --out DIR [options]"
    )
    parser.add_argument("run", nargs="?", help="folder of a trained or fitted run")
    add_model(parser)
    parser.add_argument("--scores", type=str, default=None, help="folder of score maps, no model")
    parser.add_argument("--for", default=None, type=str, help=", ".join(BENCHMARKS))
    parser.add_argument("--root", type=str, default=None, help="folder that holds the sets")
    parser.add_argument("--out", default=None, type=str, help="new folder to write into")
    parser.add_argument("--method", type=str, default=None, help="name; default: of the run folder")
    parser.add_argument("--track", type=str, default=None, help="some of several, comma-separated")
    parser.add_argument("--split", type=str, default=None, help="laf: test or testNoKnown")
    parser.add_argument("--threshold", type=float, default=None, help="oodis: score of an object")
    parser.add_argument(
        "--sensitivity",
        type=str,
        default=None,
        help=f"oodis: {', '.join(SENSITIVITIES)}: a threshold that the model's maker chose",
    )
    parser.add_argument(
        "--false_alarms", type=float, default=None, help="oodis: the model's threshold at this rate"
    )
    parser.add_argument(
        "--min_area", type=NonNegativeInt, default=None, help="oodis: smallest object, pixels"
    )
    parser.add_argument("--paper", type=str, default="", help="oodis: link for the description")
    parser.add_argument("--code", type=str, default="", help="oodis: link for the description")
    parser.add_argument("--incomplete", action="store_true", help="a trial on the frames there are")
    parser.add_argument("--restart", action="store_true", help="remove the export in --out first")
    parser.add_argument(
        "--dry-run", action="store_true", help="check everything, say what would be written"
    )
    add_computing(parser, batch=False)
    parser.add_argument("--device", type=str, default="auto", help=DEVICES)
    return parser


def _benchmark(name: str | None) -> type[Submission]:
    if name is None:
        msg = f"say which benchmark it is for: --for {', '.join(BENCHMARKS)}"
        raise OptionError(msg)
    if name not in BENCHMARKS:
        msg = f"--for {name!r} is no benchmark that is submitted to; {nearest(name, BENCHMARKS)}"
        raise OptionError(msg)
    return BENCHMARKS[name]


def _open(kind: type[Submission], given: Any) -> list[tuple[Track, BenchmarkSet]]:
    """Open the frames of each track; an optional one whose data is absent is left out."""
    opened = []
    for track in choose_tracks(kind.tracks, given.track, given.split):
        try:
            opened.append((track, open_frames(track, given.root, incomplete=given.incomplete)))
        except DataError as error:
            if not track.optional or given.track is not None:
                raise _with_advice(error, kind, given.track) from error
            sys.stdout.write(f"without {track.name}: {error}\n")
    return opened


def _with_advice(error: DataError, kind: type[Submission], chosen: str | None) -> DataError:
    if len(kind.tracks) == 1 or chosen is not None:
        return error
    names = ",".join(track.name for track in kind.tracks)
    return DataError(f"{error} To export some tracks alone, name them: --track {names}.")


def _settings(given: Any, model: Model | None) -> Settings:
    area = given.min_area
    if area is None:
        area = MIN_AREA if model is None else model.min_area
    return Settings(
        method=_method(given),
        threshold=_threshold(given, None if model is None else model.calibration),
        min_area=area,
        paper=given.paper,
        code=given.code,
        model=None if given.model is None else folder_of(given.model),
        precision=given.precision,
    )


def _threshold(given: Any, calibration: Calibration | None) -> float | None:
    """Return the score that pixels of an object exceed: as given, or as the model would set it.

    Raises:
        OptionError: two were given, or a rate or a sensitivity that no calibration could tell.
    """
    ways = ("sensitivity", "false_alarms")
    way = next((name for name in ways if given[name] is not None), None)
    if given.threshold is not None:
        if way is not None:
            msg = f"--threshold and --{way} both set the threshold; give one of them."
            raise OptionError(msg)
        return float(given.threshold)
    if calibration is None and way is not None:
        msg = f"--{way} needs a calibrated model: `roadanomaly fit`. Or give --threshold."
        raise OptionError(msg)
    known = with_threshold(calibration, given)
    return None if known is None else known.threshold


def _method(given: Any) -> str:
    folder = Path(given.scores or given.model).resolve()
    name = given.method or (folder.parent.name if folder.name == "model" else folder.name)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]*", name):
        msg = (
            f"the method's name {name!r} becomes part of file names and of the official tool's "
            "lists; give letters, digits, `.`, `_`, `+` and `-` by --method."
        )
        raise OptionError(msg)
    return name


def _source(given: Any, model: Model | None, kind: type[Submission]) -> Source:
    if model is None:
        return StoredMaps(Path(given.scores), with_classes=kind.wants_classes)
    parts = (spelled(model.segmenter), options_of(model.head), weights_hash(model.networks))
    digest = hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
    half = "" if model.precision == "f32" else f" {model.precision}"
    identity = f"{DETECTORS.name_of(model.detector)} {digest}{half}"
    return ModelScores(model, identity, with_classes=kind.wants_classes)


def _rehearse(export: Export, state: State) -> None:
    """Validate, and print what would be written."""
    export.rehearse()
    for track, frames in export.tracks:
        hidden = sum(frames.hidden(frame_id) is not None for frame_id in frames.ids)
        folder = export.submission.writer(track, frames).folder()
        sys.stdout.write(
            f"{track.name}: {len(frames)} frames of {track.data} `{track.split}` "
            f"({len(frames) - hidden} with truth here, {hidden} hidden), {frames.ids[0]} to "
            f"{frames.ids[-1]}, into {folder}/\n"
        )
    sys.stdout.write(
        f"then {export.submission.archive()} and {export.out}/submission.json; at most "
        f"{in_words(export.need())} meanwhile\nthe folder is {_STATES[state]}; nothing was "
        "written\n"
    )


_STATES = {
    State.NEW: "new",
    State.BEGUN: "this export's own, which would go on",
    State.WHOLE: "this export's own, which is whole",
}


def _print(report: Report, submission: Submission) -> None:
    card = report.card
    lines = []
    for name, track in card["tracks"].items():
        lines.append(
            f"{name}: {track['files']} files of {track['frames']} frames ({track['hidden']} with "
            "hidden truth), each read back and equal"
        )
        lines += as_lines(name, track["proof"])
        lines += [f"warning: {name}: {warning}" for warning in track["warnings"]]
        if not track["whole"]:
            lines.append(f"{name}: only {track['frames']} of {track['published']} frames: a trial")
    if not card["complete"]:
        lines.append("warning: this is not the whole submission; the benchmark asks for all of it")
    archive = card["archive"]
    lines += [
        f"{submission.archive()} ({archive['bytes'] / 1e6:.1f} MB, sha256 {archive['sha256']})",
        f"send it to {card['send']}",
    ]
    if report.mended:
        lines.append(
            f"{len(report.mended)} files were gone or changed since they were written, and were "
            f"written again: {shorten(report.mended)}"
        )
    elif report.already:
        lines.append("it was whole already; nothing was done")
    sys.stdout.write("\n".join(lines) + "\n")
