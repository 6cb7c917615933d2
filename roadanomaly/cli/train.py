"""`roadanomaly train`: a run from a config file, with overrides, that can be resumed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from roadanomaly.cli.parsing import check_keys, new_parser, parse
from roadanomaly.errors import OptionError
from roadanomaly.training.config import TrainConfig

EXAMPLES = """
roadanomaly train configs/densehybrid_espnetv2_camvid.yaml
roadanomaly train configs/densehybrid_espnetv2_camvid.yaml --seed 1 --out runs/seed1
roadanomaly train configs/densehybrid_espnetv2_camvid.yaml --detector.beta 0.1 --steps 500
roadanomaly train runs/seed1/config.yaml --resume
torchrun --nproc-per-node 2 -m roadanomaly train configs/densehybrid_espnetv2_camvid.yaml
"""


def run(arguments: Sequence[str]) -> None:
    """Train, or continue a run."""
    config, resume = read_config(arguments)
    from roadanomaly.training.loop import Interrupted, Trainer

    try:
        Trainer(config, resume=resume).run()
    except Interrupted as stop:
        raise KeyboardInterrupt(str(stop)) from stop


def read_config(arguments: Sequence[str]) -> tuple[TrainConfig, bool]:
    """Return the config that a command line describes, and whether to resume.

    Raises:
        OptionError: no config, an unknown key or option, or a value out of range.
    """
    parser = new_parser("train", __doc__ or "", EXAMPLES)
    parser.usage = "roadanomaly train CONFIG [--KEY VALUE ...] [--resume]"
    parser.add_argument("--config", action="config", help="YAML file; the same as CONFIG")
    parser.add_argument("--resume", action="store_true", help="continue from the last checkpoint")
    parser.add_argument("--device", default=None, help="same as --accelerator: cpu, gpu, auto")
    parser.add_class_arguments(TrainConfig)
    words = list(arguments)
    if words and not words[0].startswith("-"):
        words = ["--config", *words]
    if not words:
        msg = "give a config file; the recipes are in configs/. `--help` shows examples."
        raise OptionError(msg)
    if "--config" in words[:-1]:
        path = Path(words[words.index("--config") + 1])
        check_keys(path, [field.name for field in fields(TrainConfig)])
    parsed = parse(parser, words)
    values = {field.name: getattr(parsed, field.name) for field in fields(TrainConfig)}
    if parsed.device:
        values["accelerator"] = parsed.device
    return TrainConfig(**values), bool(parsed.resume)
