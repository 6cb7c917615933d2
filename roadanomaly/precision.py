"""What numbers are computed in: exact float32, or half precision by autocast."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from threading import Lock
from typing import Literal

import torch

from roadanomaly.errors import OptionError, nearest

Precision = Literal["f32", "bf16", "f16"]
"""Of inference. `bf16` and `f16` are autocast: weights stay float32, and so do scores."""

AUTOCAST = {"bf16": torch.bfloat16, "f16": torch.float16}
PRECISIONS = ("f32", *AUTOCAST)


def autocast(precision: str, device: torch.device) -> AbstractContextManager[None]:
    """Return what a network is asked in; what stays float32 there is exact, also on a GPU.

    Args:
        precision: one of `PRECISIONS`.
        device: of the network.

    Raises:
        OptionError: an unknown precision.
    """
    if precision not in PRECISIONS:
        msg = f"the precision {precision!r} is unknown; {nearest(precision, PRECISIONS)}"
        raise OptionError(msg)
    half = torch.autocast(device.type, AUTOCAST[precision]) if precision != "f32" else nullcontext()
    return _exact_beside(half) if device.type == "cuda" else half


def allow_tf32(on: bool) -> None:
    """Let a GPU round the factors of float32 products to TensorFloat-32 (10 bits), or not.

    PyTorch lets convolutions do so by default, and matrix products not. Both are set for the whole
    process, by the names that every PyTorch from 2.6 on knows; the newer names are not mixed in,
    since PyTorch then refuses to read the older ones.
    """
    torch.backends.cudnn.allow_tf32 = on
    torch.backends.cuda.matmul.allow_tf32 = on


_users = 0
_before = (True, False)
_change = Lock()


@contextmanager
def exact_float32() -> Iterator[None]:
    """Compute in float32 without TensorFloat-32 inside; what was allowed before is put back.

    Threads may overlap: the last to leave puts it back.
    """
    global _users, _before
    with _change:
        if not _users:
            _before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
            allow_tf32(False)
        _users += 1
    try:
        yield
    finally:
        with _change:
            _users -= 1
            if not _users:
                torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = _before


@contextmanager
def _exact_beside(half: AbstractContextManager[None]) -> Iterator[None]:
    with exact_float32(), half:
        yield
