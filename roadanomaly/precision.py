"""What numbers are computed in: float32, or half precision by autocast."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch

from roadanomaly.errors import OptionError, nearest

Precision = Literal["f32", "bf16", "f16"]
"""Of inference. `bf16` and `f16` are autocast: weights stay float32, and so do scores."""

AUTOCAST = {"bf16": torch.bfloat16, "f16": torch.float16}
PRECISIONS = ("f32", *AUTOCAST)


def autocast(precision: str, device: torch.device) -> AbstractContextManager:
    """Return what a network is asked in.

    Args:
        precision: one of `PRECISIONS`.
        device: of the network.

    Raises:
        OptionError: an unknown precision.
    """
    if precision not in PRECISIONS:
        msg = f"the precision {precision!r} is unknown; {nearest(precision, PRECISIONS)}"
        raise OptionError(msg)
    if precision == "f32":
        return nullcontext()
    return torch.autocast(device.type, AUTOCAST[precision])
