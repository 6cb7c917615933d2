"""How long a step of a run takes on this machine, and how many steps fit into a given time."""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from pathlib import Path

from roadanomaly.training.loop import Trainer
from roadanomaly.training.run_config import RunConfig

WARM = 2
"""Steps that are not timed: the first ones fill caches and start the data workers."""


def seconds_a_step(config: RunConfig, timed: int = 5) -> float:
    """Take some steps of a run in a folder that is thrown away, and return the seconds of one.

    Args:
        config: the run; its own folder is left alone.
        timed: steps that are timed.
    """
    with tempfile.TemporaryDirectory() as folder:
        tried = replace(config, out=str(Path(folder) / "run"), steps=WARM + timed, validate_every=0)
        trainer = Trainer(tried)
        batches = trainer.batches()
        trainer.module.train()
        for step in range(1, WARM + timed + 1):
            if step == WARM + 1:
                began = time.perf_counter()
            trainer.update(step, batches)
        return (time.perf_counter() - began) / timed


def steps_within(
    wanted: int, seconds: float, minutes: float, least: int = 20, beside: int = 0
) -> int:
    """Return as many of the wanted steps as fit.

    Args:
        wanted: steps of the run.
        seconds: of one step.
        minutes: for all.
        least: are taken in any case.
        beside: steps that all else takes as long as, which has to fit, too.

    >>> steps_within(300, 1.0, 10)
    300
    >>> steps_within(300, 4.0, 10)
    150
    >>> steps_within(300, 4.0, 10, beside=80)
    70
    """
    return max(min(least, wanted), min(wanted, int(60 * minutes / seconds) - beside))
