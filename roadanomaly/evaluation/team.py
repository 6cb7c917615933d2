"""Several processes that share an evaluation: torchrun's, or workers started here."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar

import torch.distributed as dist

from roadanomaly.errors import UserError
from roadanomaly.locks import torchrun_rank, whole_number

T = TypeVar("T")
PATIENCE = timedelta(days=7)
"""How long a process waits for the others, whose frames may take longer."""

LOOK_S = 0.5
"""Between two looks at the workers, until all have joined."""

STOPPED = (
    "a process of this evaluation has stopped (killed, or out of memory?). Run the same command "
    "again: it continues from the frames that are scored."
)


class Team:
    """The processes of one evaluation; each scores its share of the frames.

    Args:
        rank: number of this process.
        size: how many there are.
        host_rank: number of this process on its machine.
    """

    def __init__(self, rank: int = 0, size: int = 1, host_rank: int = 0) -> None:
        self.rank, self.size, self.host_rank = rank, size, host_rank

    @property
    def leads(self) -> bool:
        """Whether this is the process that sums up and writes."""
        return self.rank == 0

    def share(self, numbers: Sequence[int]) -> list[int]:
        """Return this process's part of the frames to do."""
        return list(numbers[self.rank :: self.size])

    def gather(self, value: T) -> list[T]:
        """Return every process's value, by rank.

        Raises:
            UserError: a process has died.
        """
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        try:
            dist.all_gather_object(values, value)
        except RuntimeError as error:
            raise UserError(STOPPED) from error
        return values

    def agree(self, work: Callable[[], T]) -> T:
        """Do a piece of work in every process, and go on only if none met a mistake.

        Returns:
            this process's result.

        Raises:
            UserError: the first mistake that any process met; the others leave with code 2.
        """
        result, mistake = None, None
        try:
            result = work()
        except UserError as error:
            mistake = error
        mistakes = [error for error in self.gather(mistake) if error is not None]
        if mistakes and self.leads:
            raise mistakes[0]
        if mistakes:
            raise SystemExit(2)
        return result  # type: ignore[return-value]

    def run(self, work: Callable[[], T]) -> list[T]:
        """Do a piece of work in every process; return all results, by rank. Errors as `agree`."""
        return self.gather(self.agree(work))

    def lead(self, work: Callable[[], T]) -> T:
        """Do a piece of work in the first process, and give its result to all."""
        return self.run(lambda: work() if self.leads else None)[0]  # type: ignore[return-value]


@contextmanager
def gathered_team(workers: int, command: Sequence[str]) -> Iterator[Team]:
    """Join torchrun's processes, or start workers that run the same command.

    Args:
        workers: processes in all when torchrun does not say; 1 starts none.
        command: words after `python -m roadanomaly` that a worker runs.

    Raises:
        UserError: a worker has died before it joined, or torchrun's variables are not whole.
    """
    rank, size = torchrun_rank()
    started: list[subprocess.Popen[bytes]] = []
    if size > 1:
        team, address = Team(rank, size, whole_number("LOCAL_RANK", "0")), _meeting_place()
    else:
        team, address = Team(0, workers), f"127.0.0.1:{_free_port()}"
        started = [_start(rank, workers, address, command) for rank in range(1, workers)]
    try:
        if team.size > 1:
            _join(team, "env://" if size > 1 else f"tcp://{address}", started)
        yield team
        with suppress(subprocess.TimeoutExpired):
            for worker in started:
                worker.wait(timeout=60)
    finally:
        for worker in started:
            worker.kill()
            worker.wait()
        if team.size > 1 and dist.is_initialized():
            dist.destroy_process_group()


def _meeting_place() -> str:
    """Return where torchrun lets its processes meet.

    Raises:
        UserError: it is not said.
    """
    if not (host := os.environ.get("MASTER_ADDR")):
        msg = (
            "WORLD_SIZE says that several processes share this evaluation, but MASTER_ADDR, where "
            "they meet, is missing. Unset WORLD_SIZE, or start the command by torchrun."
        )
        raise UserError(msg)
    return f"{host}:{whole_number('MASTER_PORT')}"


def _join(team: Team, address: str, started: Sequence[subprocess.Popen[bytes]]) -> None:
    """Wait until all processes are there: in a thread, since torch looks at no worker meanwhile."""
    joined: Future[None] = Future()

    def join() -> None:
        try:
            dist.init_process_group(
                "gloo",
                init_method=address,
                rank=team.rank,
                world_size=team.size,
                timeout=PATIENCE,
            )
            joined.set_result(None)
        except BaseException as error:
            joined.set_exception(error)

    Thread(target=join, daemon=True).start()
    while not wait([joined], LOOK_S).done:
        if any(worker.poll() is not None for worker in started):
            raise UserError(STOPPED)
    joined.result()


def _start(rank: int, size: int, address: str, command: Sequence[str]) -> subprocess.Popen[bytes]:
    host, _, port = address.partition(":")
    package = str(Path(__file__).resolve().parents[2])
    own = {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(size),
        "MASTER_ADDR": host,
        "MASTER_PORT": port,
        "PYTHONPATH": os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")])),
    }
    return subprocess.Popen(
        [sys.executable, "-m", "roadanomaly", *command],
        env={**os.environ, **own},
        stdout=subprocess.DEVNULL,
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
