"""Several streams at a time: each has a pipeline of its own, and they share one network."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from roadanomaly.errors import UserError
from roadanomaly.video.runner import GRACE_S, Runner


def run_together(runners: Sequence[Runner]) -> list[BaseException | None]:
    """Run to the end of every stream; one that fails leaves the others alone.

    Returns:
        what each of them raised, or None.

    Raises:
        KeyboardInterrupt: this thread was interrupted; all streams were told to stop.
    """
    faults: list[BaseException | None] = [None] * len(runners)

    def run(number: int) -> None:
        try:
            runners[number].run()
        except BaseException as error:
            faults[number] = error

    if len(runners) == 1:
        runners[0].run()
        return faults
    threads = [
        threading.Thread(target=run, args=(number,), daemon=True) for number in range(len(runners))
    ]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            thread.join()
    except BaseException:
        for runner in runners:
            runner.stop()
        for thread in threads:
            thread.join(GRACE_S)
        raise
    return faults


def raise_first(faults: Sequence[BaseException | None]) -> None:
    """Raise what went wrong, if anything: users' mistakes together, as one.

    Raises:
        UserError: says all of them.
        Exception: one that is no user's mistake.
    """
    came = [fault for fault in faults if fault is not None]
    for fault in came:
        if len(came) == 1 or not isinstance(fault, UserError):
            raise fault
    if came:
        raise UserError("\n".join(str(fault) for fault in came))
