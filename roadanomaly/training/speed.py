"""What makes a run faster on a GPU, and what is said where it cannot be had."""

from __future__ import annotations

import copy

import torch
from torch import nn

from roadanomaly.catalogue import called
from roadanomaly.flows.exact import EXACT
from roadanomaly.model import channels_last
from roadanomaly.precision import allow_tf32
from roadanomaly.training.run_config import RunConfig
from roadanomaly.training.task import Task
from roadanomaly.types import Batch


def prepare_for(task: Task, config: RunConfig, *, cuda: bool, processes: int) -> list[str]:
    """Arrange what is trained for the device; called before optimisers are built.

    On CUDA the channels of weights lie last in memory, and float32 products may be rounded to TF32
    unless the run holds a flow.

    Returns:
        what is to be said.
    """
    notes = []
    if config.sync_batch_norm:
        task.module, note = synchronised(task.module, cuda=cuda, processes=processes)
        notes += [note] if note else []
    if cuda:
        allow_tf32(may_round(task.module))
        channels_last(task.module)
    return notes


def may_round(module: nn.Module) -> bool:
    """Tell whether float32 products may be computed in TF32: nothing in the module is a flow."""
    return not any(isinstance(part, EXACT) for part in module.modules())


def synchronised(module: nn.Module, *, cuda: bool, processes: int) -> tuple[nn.Module, str]:
    """Let BatchNorm take its statistics over the crops of all processes.

    Args:
        module: what is trained.
        cuda: whether it trains on CUDA.
        processes: of the run.

    Returns:
        the module, and what is to be said, or "".
    """
    if not cuda or processes == 1:
        why = "one GPU trains alone" if cuda else "PyTorch has it on CUDA alone"
        return module, f"sync_batch_norm: left out, since {why}."
    return nn.SyncBatchNorm.convert_sync_batchnorm(module), ""


def compile_networks(
    task: Task, config: RunConfig, device: torch.device, backend: str = "inductor"
) -> list[str]:
    """Compile a task's networks in place, each after a copy of it has passed a trial.

    Args:
        task: on its device.
        config: of the run.
        device: of the task.
        backend: of `torch.compile`.

    Returns:
        what is to be said where the trial failed and a network stays as it is, or where the task
        has no network that is compiled.
    """
    compilable = task.compilable()
    if not compilable:
        return ["compile: left out, since no network of this run is compiled."]
    image = torch.zeros(config.batch_size, 3, *config.crop, dtype=torch.uint8)
    batch = Batch(image, image[:, 0].clone(), ("",) * config.batch_size).to(device)
    notes = []
    for network, trial in compilable:
        tried = copy.deepcopy(network)
        tried.compile(backend=backend)
        try:
            with torch.random.fork_rng():
                trial(tried, batch)
        except Exception as error:
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            notes.append(f"compile: `{called(network)}` runs without it: {reason}")
        else:
            network.compile(backend=backend)
    return notes
