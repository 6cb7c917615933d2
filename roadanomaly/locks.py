"""One program at a time in an output folder; a killed one leaves nothing that stands in the way.

The lock is the operating system's own (POSIX record locks), held on a hidden file of the folder:
it is gone with the process that holds it, however that ends, and no child process inherits it.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import socket
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from roadanomaly.errors import UserError

try:
    import fcntl
except ImportError:  # a system without POSIX: two programs are not kept apart there
    fcntl = None  # type: ignore[assignment]

LOCK = ".lock"
"""The hidden file; it is removed when its holder ends in order, and taken over when not."""
TRAININGS = ("adapt", "flow", "train")
"""Commands whose processes Lightning Fabric numbers; torchrun those of `evaluate`, too."""
RANKS = ("LOCAL_RANK", "NODE_RANK", "SLURM_PROCID")
"""Variables by which Fabric numbers processes where torchrun started none."""
_WAIT_S = 0.3


def torchrun_rank() -> tuple[int, int]:
    """Return the number of this process and of all that torchrun started; 0 and 1 without it.

    Raises:
        UserError: one of its variables is missing or no such number.
    """
    size = whole_number("WORLD_SIZE", "1")
    if size <= 1:
        return 0, 1
    rank = whole_number("RANK")
    if rank >= size:
        msg = (
            f"RANK is {rank} and WORLD_SIZE {size}, but processes are numbered from 0. Unset both, "
            "or start the command by torchrun, which sets them."
        )
        raise UserError(msg)
    return rank, size


def whole_number(name: str, default: str = "", least: int = 0) -> int:
    """Read a variable by which a cluster or torchrun numbers processes.

    Args:
        name: of the variable.
        default: where it is missing or empty; an empty one means that it must be there.
        least: that it may be.

    Raises:
        UserError: it is missing, or no whole number from `least`.
    """
    text = os.environ.get(name) or default
    if text.strip().isdecimal() and int(text) >= least:
        return int(text)
    held = f"is {text!r}" if text else "is missing beside WORLD_SIZE"
    unset = " and ".join(sorted({name, "WORLD_SIZE"} & os.environ.keys()))
    msg = (
        f"the environment variable {name} {held}; where several processes share a command it is a "
        f"whole number from {least}. Unset {unset}, or start the command by torchrun, which sets "
        "them all."
    )
    raise UserError(msg)


def _is_further(command: Sequence[str]) -> bool:
    """Tell whether a command is shared by several processes, of which this is not the first."""
    name = command[0] if command else ""
    if name in TRAININGS:  # Fabric's own processes have a WORLD_SIZE and no RANK
        by_torchrun = ("RANK",) if whole_number("WORLD_SIZE", "1") > 1 else ()
        return any(whole_number(one, "0") > 0 for one in (*by_torchrun, *RANKS))
    return name == "evaluate" and torchrun_rank()[0] > 0


@contextlib.contextmanager
def holding(
    folder: Path, command: Sequence[str], *, file: str = LOCK, what: str = ""
) -> Iterator[bool]:
    """Hold an output folder while the block runs; it is made where there is none.

    Further processes of one job hold nothing, for their first one does: torchrun's and workers of
    `evaluate`, and what Lightning Fabric takes for processes of a training. Every other command
    runs alone, whatever a cluster numbers. A folder that was made here and is empty at the end is
    removed again.

    Args:
        folder: of the outputs.
        command: words of the command line, for whoever finds the folder held.
        file: name of the lock within the folder.
        what: is held, for messages; empty says `--out` and the folder.

    Yields:
        whether this process holds it; False in the further processes of a job.

    Raises:
        UserError: another process holds it, the folder cannot be written, or a variable that
            numbers processes holds no number.
    """
    if _is_further(command):
        yield False
        return
    what = what or f"--out {folder}"
    try:
        made = not folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
        lock = _take(folder / file, what)
    except OSError as error:
        reason = "it is a file" if isinstance(error, FileExistsError) else error.strerror
        msg = (
            f"{what}: the folder cannot be written ({reason}). Name another folder, or "
            "make this one writable."
        )
        raise UserError(msg) from error
    try:
        _sign(lock, command)
        yield True
    finally:
        (folder / file).unlink(missing_ok=True)
        os.close(lock)
        if made:
            with contextlib.suppress(OSError):
                folder.rmdir()


def _take(path: Path, what: str) -> int:
    """Open and lock the file, or say who has it.

    A holder removes the file before it lets go, so what was locked may be a file that is no longer
    there: then it is tried again.
    """
    while True:
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            if fcntl is not None:
                fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            os.close(lock)
            raise UserError(_refusal(path, what)) from None
        except OSError:
            return lock  # a file system without locks
        try:
            there = path.stat()
        except FileNotFoundError:
            there = None
        if there is not None and os.path.samestat(there, os.fstat(lock)):
            return lock
        os.close(lock)


def _sign(lock: int, command: Sequence[str]) -> None:
    """Write who holds the lock into its file; a full disk does not matter."""
    holder = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(["roadanomaly", *command]),
    }
    with contextlib.suppress(OSError):
        os.ftruncate(lock, 0)
        os.pwrite(lock, json.dumps(holder).encode(), 0)


def _refusal(path: Path, what: str) -> str:
    """Return the sentence that says who holds it."""
    who = "another process"
    until = time.monotonic() + _WAIT_S
    while time.monotonic() < until:
        try:
            held = json.loads(path.read_text())
            who = (
                f"process {held['pid']} on {held['host']}, since {held['started']}, by "
                f"`{held['command']}`"
            )
            break
        except (OSError, ValueError, KeyError, TypeError):
            time.sleep(0.02)  # it has only just taken it
    return f"{what} is in use: {who}. Wait until that ends, stop it, or write to another place."
