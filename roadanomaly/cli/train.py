"""`roadanomaly train [generator]`: a run from a config file, with overrides; can be resumed."""

from __future__ import annotations

from collections.abc import Sequence

from roadanomaly.cli.parsing import new_parser
from roadanomaly.cli.runs import read_run, start
from roadanomaly.training.config import TrainConfig
from roadanomaly.training.generator_config import GeneratorConfig

EXAMPLES = """
roadanomaly train configs/densehybrid_espnetv2_camvid.yaml
roadanomaly train configs/densehybrid_espnetv2_camvid.yaml --seed 1 --out runs/seed1
roadanomaly train configs/densehybrid_espnetv2_camvid.yaml --detector.beta 0.1 --steps 500
roadanomaly train runs/seed1/config.yaml --resume
torchrun --nproc-per-node 2 -m roadanomaly train configs/densehybrid_espnetv2_camvid.yaml
roadanomaly train generator configs/spade_camvid.yaml
"""
GENERATOR_EXAMPLES = """
roadanomaly train generator configs/spade_camvid.yaml
roadanomaly train generator configs/spade_camvid.yaml --generator.width 24 --out runs/wider
roadanomaly train generator configs/pix2pixhd_camvid.yaml --adversarial_weight 1 --out runs/gan
roadanomaly train generator runs/spade_camvid/config.yaml --resume
torchrun --nproc-per-node 2 -m roadanomaly train generator configs/spade_camvid.yaml
"""


def run(arguments: Sequence[str]) -> None:
    """Train, or continue a run."""
    if arguments and arguments[0] == "generator":
        train_generator(arguments[1:])
        return
    config, resume = read_config(arguments)
    start(config, resume=resume, command=["train", *arguments])


def train_generator(arguments: Sequence[str]) -> None:
    """Train a label-to-image network, or continue a run."""
    text = "Train a generator that draws images from labels, for the resynthesis detectors."
    parser = new_parser("train generator", text, GENERATOR_EXAMPLES)
    config, resume = read_run(parser, GeneratorConfig, arguments)
    start(config, resume=resume, command=["train", "generator", *arguments])


def read_config(arguments: Sequence[str]) -> tuple[TrainConfig, bool]:
    """Return the config that a command line describes, and whether to resume.

    Raises:
        OptionError: no config, an unknown key or option, or a value out of range.
    """
    return read_run(new_parser("train", __doc__ or "", EXAMPLES), TrainConfig, arguments)
