"""Images a second in training, data loading included.

    python benchmarks/training_speed.py configs/densehybrid_espnetv2_camvid.yaml

Runs the real trainer for some steps in a temporary folder and leaves the first ones out.
"""

from __future__ import annotations

import sys
import tempfile
import time

from roadanomaly.cli.train import read_config
from roadanomaly.training.loop import Trainer
from roadanomaly.training.record import machine

WARM_UP = 5
STEPS = 40


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        config, _ = read_config([*sys.argv[1:], "--out", f"{folder}/run"])
        trainer = Trainer(config)
        trainer.module.train()
        batches = trainer.batches()
        for step in range(1, STEPS + 1):
            if step == WARM_UP + 1:
                began = time.perf_counter()
            trainer.update(step, batches)
        seconds = time.perf_counter() - began
    images = (STEPS - WARM_UP) * config.batch_size * config.accumulate
    print(f"machine   {machine()}")
    print(
        f"crops     {config.crop[0]}x{config.crop[1]}, batch {config.batch_size}, "
        f"{config.precision}, {config.workers} loading processes"
    )
    print(
        f"speed     {images / seconds:.2f} images a second, {seconds / images * 1000:.0f} ms each"
    )


if __name__ == "__main__":
    main()
