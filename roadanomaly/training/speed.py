"""What makes a run faster on a GPU, and what is said where it cannot be had."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import torch
from torch import nn

from roadanomaly.flows import ImageFlow
from roadanomaly.flows.map_flow import MapFlow
from roadanomaly.flows.vector_flow import VectorFlow

EXACT = (ImageFlow, VectorFlow, MapFlow)
"""Densities, whose numbers TF32 would spoil."""


def may_round(module: nn.Module) -> bool:
    """Tell whether float32 products may be computed in TF32: nothing in the module is a density."""
    return not any(isinstance(part, EXACT) for part in module.modules())


def synchronised(module: nn.Module, *, cuda: bool, processes: int) -> tuple[nn.Module, str]:
    """Let BatchNorm take its statistics over the crops of all processes.

    Args:
        module: what is trained, before its optimisers are built.
        cuda: whether it trains on CUDA.
        processes: of the run.

    Returns:
        the module, and what is to be said, or "".
    """
    if not cuda or processes == 1:
        why = "they are alone" if cuda else "PyTorch has it on CUDA alone"
        return module, f"sync_batch_norm: left out, since {why}."
    return nn.SyncBatchNorm.convert_sync_batchnorm(module), ""


def compiled(
    networks: Sequence[nn.Module], trial: Callable[[nn.Module], None], backend: str = "inductor"
) -> str:
    """Compile networks in place, each after a copy of it has passed a trial.

    Args:
        networks: as the trial takes them, on their device.
        trial: a forward and a backward pass of one network.
        backend: of `torch.compile`.

    Returns:
        what is to be said where the trial failed and a network stays as it is, or "".
    """
    said = []
    for network in networks:
        tried = copy.deepcopy(network)
        tried.compile(backend=backend)
        try:
            with torch.random.fork_rng():
                trial(tried)
        except Exception as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            said.append(f"compile: {type(network).__name__} runs without it: {reason}")
            continue
        network.compile(backend=backend)
    return " ".join(said)
