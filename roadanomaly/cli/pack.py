"""`roadanomaly pack`: a saved model in half precision, without a trace of the machine."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jsonargparse import Namespace
from jsonargparse.typing import PositiveInt

from roadanomaly.calibration import Calibration
from roadanomaly.cli.export_model import labelled_frames
from roadanomaly.cli.parsing import new_parser, parse
from roadanomaly.data import FrameSet
from roadanomaly.errors import DataError, NotCalibrated, OptionError
from roadanomaly.files import in_words
from roadanomaly.folders import require_replaceable
from roadanomaly.model import FILES, Model, load, write_model
from roadanomaly.model_card import write_card
from roadanomaly.model_folder import read_description
from roadanomaly.models import folder_of
from roadanomaly.packing import Change, compare, halved, packed_description
from roadanomaly.progress import progress
from roadanomaly.saved_model import is_figures

NORMAL = "normal"
EXAMPLES = """
roadanomaly pack runs/a --out packed
roadanomaly pack runs/a --out models/default --name default --card notes.md --figures figures.json
roadanomaly pack runs/a --out packed --sensitivity '{low: 0.001, normal: 0.003, high: 0.01}'
roadanomaly pack runs/a --out packed --on roadanomaly --limit 10
"""


def run(arguments: Sequence[str]) -> None:
    """Pack a model, and print what rounding changed."""
    parser = new_parser("pack", __doc__ or "", EXAMPLES)
    parser.usage = "roadanomaly pack RUN --out FOLDER [options]"
    add = parser.add_argument
    add("run", help="folder of a run or a saved model, or a name as `--model` takes it")
    add("--out", type=str, required=True, help="folder to write the model into")
    add("--name", type=str, default=None, help="of the model; default: the folder's")
    add("--card", type=str, default=None, help="Markdown file that goes into its README.md")
    add(
        "--figures",
        type=str,
        default=None,
        help='JSON file of measured figures: {"roadanomaly": {"AP": 70.1, "FPR95": 20.3}}',
    )
    add(
        "--sensitivity",
        type=dict[str, float],
        default=None,
        help="false-alarm rates of named thresholds: '{low: 0.001, normal: 0.003, high: 0.01}'",
    )
    add(
        "--thresholds",
        type=dict[str, float],
        default=None,
        help="the same as scores: '{low: 4.1, normal: 3.2, high: 2.5}'",
    )
    add("--on", type=str, default="streets", help="set to compare scores on")
    add("--root", type=str, default=None, help="folder of that set")
    add("--data", type=dict[str, Any], default={}, help="its options: --data.split")
    add("--limit", type=PositiveInt, default=12, help="frames of it, evenly spaced")
    given = parse(parser, arguments)
    out, source = Path(given.out), folder_of(given.run)
    if out.resolve() == source.resolve():
        msg = f"--out {out} is the model itself, which stays as it is; give another folder."
        raise OptionError(msg)
    require_replaceable(out, FILES)
    more = _text(given.card, "--card") if given.card else ""
    figures = _figures(given.figures) if given.figures else {}
    before = load(source)
    before.calibration = _calibration(before.calibration, given)
    frames = labelled_frames(given.on, given.root, given.data, given.limit)
    record = read_description(source / "model.json").get("record") or {}
    description = {
        "name": given.name or out.resolve().name,
        **packed_description(before, record),
        **({"figures": figures} if figures else {}),
    }
    change = _written(out, before, description, frames, more)
    about = f"{frames.record()['name']} ({len(frames)} frames)"
    sys.stdout.write(f"{_in_words(change, about)}\n{in_words(_size(source))} before, ")
    sys.stdout.write(f"{in_words(_size(out))} after\nwritten to {out}: {', '.join(FILES)}\n")


def _written(
    out: Path, before: Model, description: dict[str, Any], frames: FrameSet, more: str
) -> Change:
    """Write the packed model with what rounding changed in its record."""
    weights = halved(before.networks)
    with tempfile.TemporaryDirectory() as folder:
        after = load(write_model(Path(folder) / "model", description, weights))
    shown = progress(frames, "compare")
    change = compare(before, after, (frame.image for frame in shown))
    found = change.agreement
    description["record"]["packed"] = {
        "on": frames.record(),
        "largest_difference": found.largest,
        "mean_difference": found.mean,
        "rank_correlation": found.rank_correlation(),
        "mask_pixels_changed": change.moved,
    }
    write_model(out, description, weights, write_card(description, more))
    return change


def _calibration(found: Calibration | None, given: Namespace) -> Calibration | None:
    """Return the calibration with the named thresholds that the command line gives it.

    The one that is called normal becomes the model's own.

    Raises:
        NotCalibrated: a model without a threshold.
        OptionError: both ways of naming them, or values that the calibration cannot tell.
    """
    if given.sensitivity is None and given.thresholds is None:
        return found
    if given.sensitivity is not None and given.thresholds is not None:
        msg = "--sensitivity gives rates and --thresholds scores; give one of them."
        raise OptionError(msg)
    if found is None:
        msg = "this model has no threshold yet: calibrate it with `roadanomaly fit`, then pack it."
        raise NotCalibrated(msg)
    chosen = given.thresholds
    if chosen is None:
        chosen = {name: found.threshold_at(rate) for name, rate in given.sensitivity.items()}
    named = found.with_sensitivities(chosen)
    return named.at_sensitivity(NORMAL) if NORMAL in chosen else named


def _text(path: str, option: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{option} {path} cannot be read: {getattr(error, 'strerror', None) or error}."
        raise DataError(msg) from error


def _figures(path: str) -> dict[str, dict[str, float]]:
    try:
        found = json.loads(_text(path, "--figures"))
    except ValueError as error:
        msg = f"--figures {path} is no JSON: {error}."
        raise DataError(msg) from error
    if not is_figures(found):
        msg = (
            f"--figures {path} must hold finite numbers by set and name, as "
            '{"roadanomaly": {"AP": 70.1, "FPR95": 20.3}}.'
        )
        raise DataError(msg)
    return found


def _size(folder: Path) -> int:
    return sum((folder / name).stat().st_size for name in FILES if (folder / name).exists())


def _in_words(change: Change, frames: str) -> str:
    found = change.agreement
    ranks = found.rank_correlation()
    told = "not defined" if ranks is None else f"{ranks:.6f}"
    moved = change.moved
    masks = "" if moved is None else f"; the mask changes on {100 * moved:.3g} % of pixels"
    return (
        f"scores on {frames}: largest difference {found.largest:.3g}, mean {found.mean:.3g}, "
        f"rank correlation {told}{masks}"
    )
