"""A CUDA device that does not exist: modules on it, and where they wait for it.

All use of PyTorch's private fake tensors is here. A fake tensor has shape, type and device and no
values: an operation on tensors of two devices raises, and so does all that needs a value on the
processor, which on a real GPU is a wait for the device.

A part is built on the processor and its parameters and buffers are then replaced, as `.to("cuda")`
would: a tensor that is no buffer stays behind, as there. The backward pass needs a device, and is
not run.
"""

from __future__ import annotations

import copy
import traceback
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensorMode,
    unset_fake_temporarily,
)

from roadanomaly.types import Batch

TRIED = ("2.14",)
"""Versions of PyTorch that this was tried with."""

VERSION = ".".join(torch.__version__.split(".")[:2])

tried_versions_only = pytest.mark.skipif(
    VERSION not in TRIED,
    reason=f"PyTorch's fake tensors are private; tried with {', '.join(TRIED)}, not {VERSION}",
)

NO_VALUE = "not supported for tensor subclasses"
"""What PyTorch says when a fake tensor is asked for a NumPy array."""


class Waits(Exception):
    """What was run waits for the device; says at which place of the package."""


@contextmanager
def cuda_without_a_gpu():
    """Let fake tensors compute inside; raise `Waits` at the first wait for the device."""
    try:
        with FakeTensorMode(allow_non_fake_inputs=True):
            yield
    except (DataDependentOutputException, DynamicOutputShapeException) as error:
        raise Waits(place(error)) from error
    except RuntimeError as error:
        if NO_VALUE not in str(error):
            raise
        raise Waits(place(error)) from error


def place(error: BaseException) -> str:
    """Return the innermost place of the package that an error passed, as `file.py function`."""
    frames = list(traceback.extract_tb(error.__traceback__))
    mine = [one for one in frames if "/roadanomaly/" in one.filename] or frames
    return f"{mine[-1].filename.rpartition('/roadanomaly/')[2]} {mine[-1].name}"


def moved(module: nn.Module) -> nn.Module:
    """Return a copy whose parameters and buffers lie on the device; called within the mode."""
    with unset_fake_temporarily():
        module = copy.deepcopy(module)
    known: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
    for part in module.modules():
        for held in (part._parameters, part._buffers):
            for name, tensor in held.items():
                if tensor is not None and id(tensor) not in known:
                    known[id(tensor)] = on_cuda(tensor), tensor
                if tensor is not None:
                    held[name] = known[id(tensor)][0]
    return module


def on_cuda(tensor: torch.Tensor) -> torch.Tensor:
    """Return what `tensor.to("cuda")` would be like."""
    made = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="cuda")
    if not isinstance(tensor, nn.Parameter):
        return made
    return nn.Parameter(made, requires_grad=tensor.requires_grad)


def batch_on_cuda(batch: Batch) -> Batch:
    """Return a float batch on the device."""
    notes = {
        name: on_cuda(note) if isinstance(note, torch.Tensor) else note
        for name, note in batch.notes.items()
    }
    original = None if batch.original is None else on_cuda(batch.original)
    return replace(
        batch,
        image=on_cuda(batch.image),
        label=on_cuda(batch.label),
        original=original,
        notes=notes,
    )
