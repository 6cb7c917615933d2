"""The work of one batch, recorded as a CUDA graph and replayed: one launch in place of hundreds."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

WARM_UP = 3

TURN = threading.RLock()
"""Held while work is recorded or done on a GPU: one process records one graph at a time, alone."""

Work = Callable[[Tensor], Tensor]


class Replayed:
    """Work that is recorded once, for one size of batch.

    Args:
        work: from `(B, H, W, 3)` uint8 on a GPU to one tensor; nothing of it may wait for the GPU.
        batch: of the size that it is recorded for; what enters is copied there.
        pool: memory that it shares with other records, which are never replayed at the same time.

    Raises:
        RuntimeError: the work cannot be recorded.
    """

    def __init__(self, work: Work, batch: Tensor, pool: Any = None) -> None:
        self._batch = batch
        self._replay, self._outcome = record(lambda: work(batch), batch.device, pool)

    def __call__(self, entering: Tensor) -> Tensor:
        """Do the work on a batch; the outcome is valid until the next call."""
        self._batch.copy_(entering, non_blocking=True)
        self._replay()
        return self._outcome


def record(
    work: Callable[[], Tensor], device: torch.device, pool: Any
) -> tuple[Callable[[], None], Tensor]:
    """Record work on a GPU; return what does it again, and where its outcome lies.

    What waits for the GPU is found while warming up, since a record that breaks off leaves
    PyTorch's memory in disorder. The random numbers drawn there are put back.

    Raises:
        RuntimeError: the work cannot be recorded.
    """
    current = torch.cuda.current_stream(device)
    with TURN, torch.cuda.device(device), torch.cuda.stream(current):
        beside = torch.cuda.Stream(device)
        beside.wait_stream(current)
        with torch.cuda.stream(beside), torch.random.fork_rng([device]):
            for _ in range(WARM_UP):
                work()
            with _waits_refused():
                work()
        current.wait_stream(beside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):
            outcome = work()
    return graph.replay, outcome


@contextmanager
def _waits_refused() -> Iterator[None]:
    """Let every operation that waits for the GPU raise."""
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode(before)
