"""`roadanomaly train CONFIG` with a validation that takes longer than a step may, or a fault."""

from __future__ import annotations

import os
import time
from datetime import timedelta

from torch.distributed.distributed_c10d import _set_pg_timeout

from roadanomaly.cli.main import main
from roadanomaly.errors import DataError
from roadanomaly.training.detector_task import DetectorTask
from roadanomaly.training.loop import Trainer
from roadanomaly.training.step import TrainingStep
from roadanomaly.training.stream import CropStream

STEP_LIMIT = timedelta(seconds=10)
VALIDATION = 12
"""Seconds."""

TORN = 6
"""Number of a crop that process 1 takes in the second pass of step 1."""


def disturb(how: str) -> None:
    """Limit what the processes do together; change the validation after step 1, or process 1."""
    run, validate = Trainer.run, DetectorTask.validate
    crop, forward = CropStream.__getitem__, TrainingStep.forward

    def limited(self):
        _set_pg_timeout(STEP_LIMIT)
        return run(self)

    def disturbed(self, step, log, parts):
        if step == 1 and how == "fails":
            raise DataError("a validation frame cannot be read.")
        if step == 1:
            time.sleep(VALIDATION)
        return validate(self, step, log, parts)

    def torn(self, number):
        if how == "data" and number == TORN:
            return number, DataError("torn.png cannot be read.")
        return crop(self, number)

    def diverging(self, batch, rng=None):
        terms = forward(self, batch, rng)
        alone = how == "loss" and os.environ["RANK"] == "1"
        return {name: term * float("nan") for name, term in terms.items()} if alone else terms

    Trainer.run, DetectorTask.validate = limited, disturbed
    CropStream.__getitem__, TrainingStep.forward = torn, diverging


def train(how: str, config: str) -> int:
    """Run it, disturbed."""
    disturb(how)
    return main(["train", config])
