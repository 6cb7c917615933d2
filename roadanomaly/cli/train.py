"""`roadanomaly train`: a run from a config file, with overrides, that can be resumed."""

from __future__ import annotations

from collections.abc import Sequence

from roadanomaly.cli.parsing import new_parser
from roadanomaly.cli.runs import read_run, start
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
    start(config, resume=resume)


def read_config(arguments: Sequence[str]) -> tuple[TrainConfig, bool]:
    """Return the config that a command line describes, and whether to resume.

    Raises:
        OptionError: no config, an unknown key or option, or a value out of range.
    """
    return read_run(new_parser("train", __doc__ or "", EXAMPLES), TrainConfig, arguments)
