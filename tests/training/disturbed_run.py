"""`roadanomaly train CONFIG` with a validation that takes longer than a step may, or fails.

torchrun --nproc-per-node 2 -m tests.training.disturbed_run slow CONFIG
"""

from __future__ import annotations

import sys
import time
from datetime import timedelta

from torch.distributed.distributed_c10d import _set_pg_timeout

from roadanomaly.cli.main import main
from roadanomaly.errors import DataError
from roadanomaly.training.detector_task import DetectorTask
from roadanomaly.training.loop import Trainer

STEP_LIMIT = timedelta(seconds=15)
VALIDATION = 25
"""Seconds."""


def disturb(how: str) -> None:
    """Limit what the processes do together, and change the validation after step 1."""
    run, validate = Trainer.run, DetectorTask.validate

    def limited(self):
        _set_pg_timeout(STEP_LIMIT)
        return run(self)

    def disturbed(self, step, log):
        if step == 1 and how == "fails":
            raise DataError("a validation frame cannot be read.")
        if step == 1:
            time.sleep(VALIDATION)
        return validate(self, step, log)

    Trainer.run, DetectorTask.validate = limited, disturbed


if __name__ == "__main__":
    disturb(sys.argv[1])
    sys.exit(main(["train", sys.argv[2]]))
