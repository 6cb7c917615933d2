"""Turn Ctrl-C and SIGTERM into an orderly end; a second one breaks off at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stop_on_signals(stop: Callable[[], None]) -> Iterator[list[str]]:
    """Call `stop` at the first signal, raise `KeyboardInterrupt` at the second.

    Outside the main thread, where Python takes no signals, this does nothing.

    Yields:
        the names of the signals that came.
    """
    came: list[str] = []
    if threading.current_thread() is not threading.main_thread():
        yield came
        return

    def handle(number: int, _: FrameType | None) -> None:
        came.append(signal.Signals(number).name)
        if len(came) > 1:
            raise KeyboardInterrupt
        threading.Thread(target=stop, daemon=True).start()  # the lanes' locks may be held here

    before = {number: signal.signal(number, handle) for number in SIGNALS}
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
