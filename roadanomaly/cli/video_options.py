"""Options that the commands for video share, and what they build."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jsonargparse import ArgumentParser, Namespace
from jsonargparse.typing import NonNegativeInt

from roadanomaly.cli.models import pick_device
from roadanomaly.cli.parsing import DEVICES, frame_size
from roadanomaly.cli.thresholds import add_thresholds, with_threshold
from roadanomaly.cli.which_model import Inputs, add_model, holds_model
from roadanomaly.errors import OptionError
from roadanomaly.runtimes import RUNTIMES, Scorer
from roadanomaly.runtimes.choice import Choice
from roadanomaly.runtimes.exported import is_export
from roadanomaly.runtimes.providers import PROVIDERS
from roadanomaly.runtimes.ready import Opened
from roadanomaly.video.ground import ANYWHERE, ground_classes
from roadanomaly.video.judge import Judge, Rules, stated_rates, thresholds
from roadanomaly.video.source import Reading
from roadanomaly.video.sources import is_address
from roadanomaly.video.tracking import Persistence

BEFORE = "after the folder of a run, a saved model or an export, where it is not the default: "


def add_model_options(parser: ArgumentParser, *, guarded: bool = True) -> None:
    """Add how the model is run and what counts as an object.

    Args:
        parser: of a command for video.
        guarded: whether its thresholds may be raised to keep their rates on the video.
    """
    add_model(parser, "folder of a run, a saved model or an export")
    add_thresholds(parser)
    add = parser.add_argument
    add("--backend", type=str, default=None, help=f"{', '.join(RUNTIMES)}; default: torch")
    add("--precision", type=str, default=None, help="f32, bf16 or f16; int8 by an export")
    modes = "of torch: eager, compile, cuda_graph, or auto: a graph on CUDA where that can be"
    add("--mode", type=str, default="auto", help=modes)
    add("--device", type=str, default="auto", help=f"of torch: {DEVICES}")
    add(
        "--provider",
        type=str,
        default=None,
        help=f"of onnxruntime: {', '.join(PROVIDERS)} or auto, the best that is installed",
    )
    add("--size", type=str, default=None, help="WxH at which frames are scored; default: theirs")
    widened = "objects reach as far as a threshold of so many times the share of inlier pixels"
    add("--widen", type=float, default=3.0, help=widened)
    add(
        "--min_area",
        type=NonNegativeInt,
        default=None,
        help="smallest object, pixels at the scored size",
    )
    if guarded:
        exceeded = "raise the thresholds where the video exceeds their rates over so long; 0: never"
        add("--guard_s", type=float, default=10.0, help=exceeded)
    add("--where", type=str, default=ANYWHERE, help="road or ground: it must stand there")
    add("--smooth_s", type=float, default=0.04, help="time constant of the scores' running mean")
    add("--motion", type=str, default="none", help="flow: move the running mean with the picture")
    add("--start_s", type=float, default=0.2, help="an object that lasts so long is an event")
    add("--start_frames", type=int, default=3, help="and is seen on so many frames")
    add("--end_s", type=float, default=0.6, help="an event ends when unseen for so long")


def add_source_options(parser: ArgumentParser) -> None:
    """Add how a source is read."""
    add = parser.add_argument
    add("--fps", type=float, default=10.0, help="of a folder of images")
    add("--live", type=bool | None, default=None, help="drop frames to keep up; default: streams")
    add("--stall_s", type=float, default=5.0, help="a stream silent for so long is lost")
    add("--reconnect_s", type=float, default=30.0, help="call a lost stream again for so long")


def add_playing_options(parser: ArgumentParser) -> None:
    """Add how a file is played, and which part of it."""
    add = parser.add_argument
    add("--realtime", type=bool, default=False, help="play a file at its own pace, like a camera")
    add("--loop", type=int, default=1, help="play a file so many times; 0 for ever")
    add("--from_s", type=float, default=0.0, help="leave out what lies before")


def inputs(what: str, suffixes: Sequence[str], *, recursive: bool = False) -> Inputs:
    """Return what stands behind the run: see `Inputs`."""
    return Inputs(
        what,
        suffixes,
        recursive,
        is_address,
        lambda folder: holds_model(folder) or is_export(folder),
        "a folder that `roadanomaly train`, `Model.save` or `export model` wrote",
    )


def open_model(given: Namespace, *, classes: bool = False) -> Opened:
    """Open the model that the command line names.

    Args:
        given: the command line.
        classes: whether the class map is needed for more than `--where`.

    Raises:
        OptionError: `--where` of a model that asks no segmenter.
        UserError: see `Opened`.
    """
    device = str(pick_device(given.device))
    classes = classes or given.where != ANYWHERE
    choice = Choice(
        given.backend, given.precision, given.mode, device, given.provider, classes=classes
    )
    opened = Opened(given.model, choice)
    if given.where != ANYWHERE and not opened.tells_classes:
        msg = (
            f"--where {given.where}: the detector of {given.model} looks at the image alone, so "
            "nobody says what is road; leave --where out, or take a model whose detector asks its "
            "segmenter."
        )
        raise OptionError(msg)
    opened.calibration = with_threshold(opened.calibration, given) or opened.calibration
    return opened


def readiness(runtime: Scorer) -> str:
    """Return the line that says what runs the model, and on what it really does."""
    about = "".join(f", {key} {value}" for key, value in runtime.about.items())
    return f"ready: {runtime.name} {runtime.precision}{about}\n"


def reading(given: Namespace) -> Reading:
    """Return how the command line wants sources read; by default once, as fast as they come."""
    return Reading(
        fps=given.fps,
        live=given.live,
        realtime=given.get("realtime", False),
        loop=given.get("loop", 1),
        start_s=given.get("from_s", 0.0),
        stall_s=given.stall_s,
        reconnect_s=given.reconnect_s,
    )


def scored_size(given: Namespace, opened: Opened, own: tuple[int, int]) -> tuple[int, int]:
    """Return `(H, W)` at which frames are scored: `--size`, the export's, or the source's own."""
    if given.size is not None:
        return frame_size(given.size, "WxH")
    return opened.fixed_size or own


def rules(given: Namespace, opened: Opened) -> Rules:
    """Return what the command line calls an object.

    Raises:
        OptionError: a value out of its range.
    """
    if given.start_frames < 1 or given.start_s < 0 or given.end_s < 0:
        msg = "--start_frames must be at least 1; --start_s and --end_s not negative."
        raise OptionError(msg)
    high, low = thresholds(opened.calibration, given.widen)
    return Rules(
        high=high,
        low=low,
        min_area=opened.min_area if given.min_area is None else given.min_area,
        smooth_s=given.smooth_s,
        motion=given.motion,
        persistence=Persistence(given.start_s, given.start_frames, given.end_s),
        ground=ground_classes(given.where, opened.classes),
        rates=stated_rates(opened.calibration, given.widen),
        guard_s=given.get("guard_s", 0.0),
    )


def judge(given: Namespace, opened: Opened) -> Judge:
    """Return a fresh judge by the command line's rules."""
    return Judge(rules(given, opened))


def about(given: Namespace, opened: Opened) -> dict[str, Any]:
    """Return what a record should say of the model."""
    calibration = opened.calibration
    return {
        "model": str(given.model),
        "false_alarms": stated_rates(calibration)[0],
        "calibrated_on": calibration.data,
    }
