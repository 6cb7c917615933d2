"""How a command computes: `--precision` and `--batch`."""

from __future__ import annotations

import torch
from jsonargparse import ArgumentParser

from roadanomaly.errors import OptionError
from roadanomaly.metrics.checks import check_name
from roadanomaly.precision import PRECISIONS

ON_A_GPU = 4
"""Frames together where `--batch auto` has a GPU; fewer where its memory holds fewer."""

PRECISION_HELP = "of the networks: f32, exact; or bf16 or f16, faster on a GPU, by autocast"


def add_computing(parser: ArgumentParser, *, batch: bool = True) -> None:
    """Add the options.

    Args:
        parser: of a command that scores or fits.
        batch: whether it can take frames together.
    """
    parser.add_argument("--precision", type=str, default="f32", help=PRECISION_HELP)
    if batch:
        parser.add_argument(
            "--batch",
            type=str,
            default="auto",
            help=f"frames of one size together; auto: 1 on a CPU, up to {ON_A_GPU} on a GPU",
        )


def check_computing(precision: str, batch: str = "auto") -> None:
    """Refuse values that make no sense, before any work is done.

    Raises:
        OptionError: an unknown precision, or no number of frames.
    """
    check_name("precision", precision, PRECISIONS)
    if batch != "auto" and not (batch.isdecimal() and int(batch)):
        msg = f"--batch is {batch}; give a whole number of at least 1, or auto."
        raise OptionError(msg)


def frames_together(batch: str, device: torch.device) -> int:
    """Return how many frames a device takes together."""
    if batch == "auto":
        return ON_A_GPU if device.type == "cuda" else 1
    return int(batch)
