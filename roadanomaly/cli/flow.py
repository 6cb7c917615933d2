"""`roadanomaly flow train | sample`: a flow on inlier crops, and pictures of what it draws."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from roadanomaly.cli.models import pick_device
from roadanomaly.cli.parsing import DEVICES, add_size, new_parser, parse
from roadanomaly.cli.runs import read_run, start
from roadanomaly.data import DATASETS
from roadanomaly.data.images import write_image
from roadanomaly.errors import DataError, OptionError, nearest
from roadanomaly.ledger import Ledger
from roadanomaly.negatives.flow import FlowSamples
from roadanomaly.report.flow_pictures import draw, grid
from roadanomaly.training.flow_config import FlowConfig
from roadanomaly.training.run_folder import is_run
from roadanomaly.training.source_watch import scenes

TRAIN_EXAMPLES = """
roadanomaly flow train configs/glow_camvid.yaml
roadanomaly flow train configs/glow_camvid.yaml --steps 500 --flow.hidden 32 --out runs/small
roadanomaly flow train runs/glow_camvid/config.yaml --resume
torchrun --nproc-per-node 2 -m roadanomaly flow train configs/glow_camvid.yaml
"""
SAMPLE_EXAMPLES = """
roadanomaly flow sample runs/glow_camvid
roadanomaly flow sample runs/nflowjs_camvid --size 96 160 --temperature 0.8 --out samples
roadanomaly flow sample runs/glow_camvid --data.name streets --data.split val
"""
PICTURES = ("samples.png", "scenes.png")
SCENE = (288, 384)
"""Height and width of the crops that samples are pasted into."""

USAGE = (
    "usage: roadanomaly flow train CONFIG ... | roadanomaly flow sample RUN ...\n\n"
    f"{__doc__}\n\nexamples:\n"
    + "".join(f"  {line}\n" for line in (TRAIN_EXAMPLES + SAMPLE_EXAMPLES).split("\n") if line)
    + "\n`roadanomaly flow train --help` and `flow sample --help` show all options.\n"
)


def run(arguments: Sequence[str]) -> None:
    """Train a flow, or draw from one."""
    if arguments and arguments[0] in ("-h", "--help"):
        sys.stdout.write(USAGE)
        raise SystemExit(0)
    actions = {"train": train, "sample": sample}
    if not arguments or arguments[0] not in actions:
        given = arguments[0] if arguments else ""
        msg = f"`roadanomaly flow` is followed by train or sample; {nearest(given, actions)}"
        raise OptionError(msg)
    actions[arguments[0]](arguments[1:])


def train(arguments: Sequence[str]) -> None:
    """Train a flow from a config, or continue a run."""
    parser = new_parser("flow train", "Train a flow on inlier crops.", TRAIN_EXAMPLES)
    config, resume = read_run(parser, FlowConfig, arguments)
    start(config, resume=resume, command=["flow", "train", *arguments])


def sample(arguments: Sequence[str]) -> None:
    """Write `samples.png` and `scenes.png` of a run's flow."""
    parser = new_parser("flow sample", "Draw from a flow.", SAMPLE_EXAMPLES)
    parser.add_argument("run", type=str, help="run folder of `flow train` or of a joint training")
    parser.add_argument("--out", type=str, default=None, help="folder; default: the run folder")
    parser.add_argument("--count", type=int, default=32, help="samples in the grid")
    add_size(parser, "height and width of a sample", (64, 64))
    parser.add_argument("--temperature", type=float, default=1.0, help="deviation of the latents")
    parser.add_argument(
        "--data", type=dict[str, Any], default=None, help="scenes; default: the run's `val_data`"
    )
    parser.add_argument("--seed", type=int, default=0, help="of all that is drawn")
    parser.add_argument("--device", type=str, default="auto", help=DEVICES)
    given = parse(parser, arguments)
    if given.count < 1 or not 0 <= given.temperature <= 10:
        msg = "`--count` must be at least 1, and `--temperature` lie in 0..10."
        raise OptionError(msg)
    side = (min(given.size), max(given.size))
    source = FlowSamples(start=given.run, side=side, temperature=given.temperature)
    flow = source.to(pick_device(given.device)).flow
    out = Path(given.out or given.run)
    Ledger(out).claim(PICTURES, PICTURES if is_run(out) else ())
    height, width = given.size
    drawn = draw(flow, given.count, height, width, given.temperature, given.seed)
    write_image(out / PICTURES[0], grid(drawn))
    frames = DATASETS.from_spec(given.data or _val_data(Path(given.run)), "--data")
    write_image(out / PICTURES[1], scenes(source, frames, SCENE, seed=given.seed))
    sys.stdout.write(f"{out / PICTURES[0]}\n{out / PICTURES[1]}\n")


def _val_data(folder: Path) -> dict[str, Any]:
    try:
        return yaml.safe_load((folder / "config.yaml").read_text())["val_data"]
    except (OSError, KeyError, TypeError, yaml.YAMLError) as error:
        msg = f"{folder} holds no config that names `val_data`; give scenes with --data.name."
        raise DataError(msg) from error
