"""Weights made from names and shapes alone, for models whose own would be too large to keep.

Uniform numbers of NumPy's PCG64, whose stream is fixed: they are the same on every machine.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

Layout = Iterable[tuple[str, str, list[int]]]
"""Key, type (`float32`) and shape of each entry of a state dict."""


def filled(layout: Layout) -> dict[str, Tensor]:
    """Return a state dict of this layout; its networks answer numbers of ordinary size."""
    rng = np.random.default_rng(0)
    return {key: _entry(key, kind, shape, rng) for key, kind, shape in sorted(layout)}


def _entry(key: str, kind: str, shape: list[int], rng: np.random.Generator) -> Tensor:
    if kind != "float32":
        return torch.zeros(shape, dtype=getattr(torch, kind))
    unit = rng.random(shape)
    if key.endswith("running_var") or (len(shape) == 1 and key.endswith("weight")):
        values = 0.5 + unit
    elif len(shape) < 2:
        values = 0.2 * unit - 0.1
    else:
        values = (2 * unit - 1) * np.sqrt(3 / np.prod(shape[1:]))
    return torch.from_numpy(np.asarray(values, dtype=np.float32))
