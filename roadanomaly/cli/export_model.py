"""`roadanomaly export model`: the whole path from image to calibrated score as one graph."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jsonargparse import Namespace
from jsonargparse.typing import PositiveInt

from roadanomaly.cli.parsing import frame_size, new_parser, parse
from roadanomaly.cli.predict import find_images
from roadanomaly.cli.which_model import add_model, the_model
from roadanomaly.data import DATASETS, FrameSet
from roadanomaly.data.geometry import scale_mask
from roadanomaly.data.image_arrays import scale_image
from roadanomaly.data.images import read_image, to_array
from roadanomaly.data.subset import Subset
from roadanomaly.errors import OptionError
from roadanomaly.locks import holding
from roadanomaly.model import Model, load
from roadanomaly.progress import progress
from roadanomaly.runtimes.exported import DESCRIPTION, GRAPHS, PARITY, Parity, export
from roadanomaly.training.record import run_record
from roadanomaly.weights_hash import weights_hash

EXAMPLES = """
roadanomaly export model --to onnx --size 512x1024 --out exported
roadanomaly export model runs/a --to openvino --size 512x1024 --out exported
roadanomaly export model runs/a --to onnx --size 360x640 --on roadanomaly --out exported
roadanomaly export model runs/a --to onnx --size 512x1024 --dynamic --out exported
roadanomaly export model runs/a --to openvino --precision int8 --quantise_on drives/quiet \\
    --size 512x1024 --out exported
"""


def run(arguments: Sequence[str]) -> None:
    """Export, compare with PyTorch, and refuse a graph whose AP moves."""
    parser = new_parser("export model", __doc__ or "", EXAMPLES)
    parser.usage = "roadanomaly export model [RUN] --to FORMAT --size HxW --out DIR [options]"
    parser.add_argument("run", nargs="?", help="folder of a saved model, or of a run")
    add_model(parser)
    parser.add_argument("--to", required=True, type=str, help=f"format: {', '.join(GRAPHS)}")
    parser.add_argument("--size", required=True, type=str, help="HxW of the frames: 512x1024")
    parser.add_argument(
        "--dynamic",
        action="store_true",
        help="one graph for many sizes; --size and two others are compared",
    )
    parser.add_argument("--out", required=True, type=str, help="folder to write into")
    parser.add_argument("--precision", type=str, default="f32", help="f32, bf16, f16 or int8")
    parser.add_argument(
        "--quantise_on", type=str, default=None, help="for int8: images of ordinary road"
    )
    parser.add_argument(
        "--tolerance", type=float, default=0.5, help="AP points that the graph may move"
    )
    parser.add_argument("--on", type=str, default="streets", help="set with anomalies to compare")
    parser.add_argument("--root", type=str, default=None, help="folder of that set")
    parser.add_argument("--data", type=dict[str, Any], default={}, help="its options: --data.split")
    parser.add_argument("--limit", type=PositiveInt, default=12, help="frames of it, evenly spaced")
    given = parse(parser, arguments)
    frame_size(given.size)
    _check_quantising(given)
    model = load(the_model(given.run, given.model))
    frames = labelled_frames(given.on, given.root, given.data, given.limit)
    with holding(Path(given.out), ["export", "model", *arguments]):
        parities = _export(given, model, frames)
    for parity in parities:
        sys.stdout.write(
            f"{parity.size[0]}x{parity.size[1]}: largest difference {parity.max_difference:.3g}, "
            f"mean {parity.mean_difference:.3g}, rank correlation {parity.ranks}; "
            f"AP on {parity.data}: {parity.ap_before:.2f} → {parity.ap_after:.2f}\n"
        )
    sys.stdout.write(f"written to {given.out}: {GRAPHS[given.to]}, {DESCRIPTION}, {PARITY}\n")


def _check_quantising(given: Namespace) -> None:
    """Refuse frames to measure ranges on where none are measured.

    Raises:
        OptionError: says what they are for.
    """
    if given.quantise_on is not None and given.precision != "int8":
        msg = (
            f"--quantise_on {given.quantise_on} measures ranges for int8, and --precision is "
            f"{given.precision}: add --precision int8, or leave --quantise_on out."
        )
        raise OptionError(msg)


def _export(given: Namespace, model: Model, frames: FrameSet) -> list[Parity]:
    size = frame_size(given.size)
    quiet = find_images([given.quantise_on]) if given.quantise_on else []
    images = (to_array(read_image(path)) for path in quiet[:: max(1, len(quiet) // 100)])
    return export(
        model,
        given.to,
        size,
        Path(given.out),
        lambda size: scaled(frames, *size),
        f"{frames.record()['name']} ({len(frames)} frames)",
        dynamic=given.dynamic,
        precision=given.precision,
        tolerance=given.tolerance,
        quantise_on=[scale_image(image, size) for image in images],
        record=run_record(weights=weights_hash(model.networks), frames=frames.record()),
    )


def labelled_frames(name: str, root: str | None, options: dict[str, Any], limit: int) -> FrameSet:
    """Return some frames of a labelled set; of the drawn streets those with anomalies."""
    split = {"split": "test"} if name == "streets" else {}
    spec = {"name": name, **split, **({"root": root} if root else {}), **options}
    return Subset(DATASETS.from_spec(spec), limit)


def scaled(frames: FrameSet, height: int, width: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield image and truth at the graph's size; frames without truth are left out."""
    for frame in progress(frames, "compare"):
        if frame.truth is not None:
            truth = scale_mask(frame.truth.numpy(), (height, width))
            yield scale_image(to_array(frame.image), (height, width)), truth
