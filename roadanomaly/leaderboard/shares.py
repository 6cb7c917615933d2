"""How the machine is shared out among runs at once: threads, and GPUs where there are several."""

from __future__ import annotations

import os

import torch

THREADS = "OMP_NUM_THREADS"
"""The variable by which PyTorch is told how many threads to compute with."""
GPUS = "CUDA_VISIBLE_DEVICES"
"""The variable by which CUDA is told which GPUs there are."""


def shares(jobs: int) -> list[dict[str, str]]:
    """Return the variables of the environment of each of so many jobs.

    One job has the whole machine. Of several each has its part of the cores, unless the user has
    set `OMP_NUM_THREADS`, and one GPU, in turn, where there are more than one.
    """
    if jobs == 1:
        return [{}]
    gpus = _gpus()
    told = {} if THREADS in os.environ else {THREADS: str(max(_cores() // jobs, 1))}
    return [told | ({GPUS: gpus[job % len(gpus)]} if len(gpus) > 1 else {}) for job in range(jobs)]


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _gpus() -> list[str]:
    """Return the names by which the GPUs that may be used are told to a process."""
    count = torch.cuda.device_count()
    names = [name.strip() for name in os.environ.get(GPUS, "").split(",") if name.strip()]
    return names[:count] or [str(number) for number in range(count)]
