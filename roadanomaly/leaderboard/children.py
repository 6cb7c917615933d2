"""Commands of the package in processes of their own: a log file, a reason where one failed."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from roadanomaly.errors import UserError

PATIENCE_S = 120
"""How long a child that was asked to stop may take to save its state."""


def run_child(module: str, words: Sequence[str], log: Path) -> str:
    """Run a module to its end; its output goes into a file.

    Args:
        module: as `python -m` takes it.
        words: its arguments.
        log: replaced.

    Returns:
        why it failed, a sentence; empty where it did not.

    Raises:
        UserError: the log cannot be written.
        KeyboardInterrupt: it was asked to stop, and has.
    """
    command = [sys.executable, "-m", "roadanomaly.leaderboard.child", module, *words]
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as file:
            code = _wait(command, file.fileno())
    except OSError as error:
        msg = f"{log} cannot be written, or no process started: {error.strerror}."
        raise UserError(msg) from error
    return "" if code == 0 else reason_of(log, code)


def _wait(command: Sequence[str], output: int) -> int:
    """Start a child in a session of its own, and hand on a wish to stop."""
    child = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=output, stderr=output, start_new_session=True
    )
    try:
        return child.wait()
    except KeyboardInterrupt:
        child.send_signal(signal.SIGINT)
        try:
            child.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            child.kill()
        raise
    finally:
        if child.poll() is None:
            child.kill()
        assert child.stdin is not None
        child.stdin.close()
        child.wait()


def reason_of(log: Path, code: int) -> str:
    """Say why a child failed: its last words, or the signal that ended it."""
    text = log.read_text(encoding="utf-8", errors="replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if code < 0:
        name = signal.Signals(-code).name
        return f"it was ended by {name}; where nobody did that, memory ran out."
    last = lines[-1] if lines else f"it ended with code {code} and said nothing"
    if last.startswith("roadanomaly "):  # `roadanomaly train: what was wrong`
        return last.split(": ", 1)[-1]
    return last
