r"""What it gives that a command's heap keeps what is freed (`roadanomaly.heap`).

    python benchmarks/heap.py predict photos
    python benchmarks/heap.py train configs/models/default_first.yaml --steps 40 --val_frames 1 \
        --validate_every 40
    python benchmarks/heap.py worlds default --only kitti

Runs the command by turns with a heap that is left alone and with one that keeps, each with an
`--out` of its own that is thrown away, and prints seconds, the system's seconds of the processor
and page faults (medians), and the ratio of the seconds.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass

from roadanomaly.heap import SET_OUTSIDE
from roadanomaly.training.record import machine

LEFT_ALONE = {"MALLOC_PERTURB_": "0"}
"""Changes nothing, but says that the heap was set up outside."""


@dataclass(frozen=True)
class Cost:
    """Of one run: seconds, the system's seconds of the processor, page faults."""

    wall: float
    system: float
    faults: int


def run(command: list[str], variables: dict[str, str]) -> Cost:
    """Run a command of `roadanomaly` to its end."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(SET_OUTSIDE)}
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [sys.executable, "-m", "roadanomaly", *command, "--out", f"{folder}/out"],
            env={**clean, **variables},
            check=True,
            stdout=subprocess.DEVNULL,
        )
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return Cost(wall, after.ru_stime - before.ru_stime, after.ru_minflt - before.ru_minflt)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], usage="%(prog)s [--rounds N] COMMAND [OPTION ...]"
    )
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("command", nargs=argparse.REMAINDER, help="a command of roadanomaly")
    given = parser.parse_args()
    ways = {"left alone": LEFT_ALONE, "keeps": {}}
    found: dict[str, list[Cost]] = {name: [] for name in ways}
    for _ in range(given.rounds):
        for name, variables in ways.items():
            found[name].append(run(given.command, variables))
    print(machine())
    for name, costs in found.items():
        wall, system, faults = (
            statistics.median(getattr(one, what) for one in costs)
            for what in ("wall", "system", "faults")
        )
        print(
            f"{name:<10}  {wall:7.1f} s, system {system:6.1f} s, {faults / 1e6:6.2f} M page faults"
        )
    left, keeps = (statistics.median(one.wall for one in costs) for costs in found.values())
    print(f"keeping is {left / keeps:.2f} times as fast")


if __name__ == "__main__":
    main()
