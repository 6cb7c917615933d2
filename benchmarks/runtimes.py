"""Backends side by side on the same frames: time, memory and parity with PyTorch.

    python benchmarks/runtimes.py MODEL --sizes 360x640,512x1024 --on roadanomaly

All backends of a size take turns of a few frames in one process, so that a busy machine slows
them alike; ratios are to eager PyTorch f32. Memory is the growth of a process of its own. Parity
(rank correlation, AP) is taken on labelled frames, as `roadanomaly export model` does.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

import numpy as np
import psutil
import torch

from roadanomaly.cli.export_model import labelled_frames, scaled
from roadanomaly.cli.parsing import frame_size
from roadanomaly.errors import UserError
from roadanomaly.model import load
from roadanomaly.runtimes.parity import compare
from roadanomaly.runtimes.ready import Choice, prepare
from roadanomaly.training.record import machine

RUNS = (
    "torch:f32:eager",
    "torch:f32:compile",
    "torch:bf16:eager",
    "torch:bf16:cuda_graph",
    "onnxruntime:f32:",
    "openvino:f32:",
    "openvino:bf16:",
)
FRAMES_A_TURN = 6


def choice(run: str, device: str) -> Choice:
    backend, precision, mode = run.split(":")
    return Choice(backend, precision, mode or "eager", device)


def measure(runtimes, image, repeats: int) -> dict[str, list[float]]:
    times = {name: [] for name in runtimes}
    for _ in range(repeats):
        for name, runtime in runtimes.items():
            for frame in range(FRAMES_A_TURN):
                start = time.perf_counter()
                runtime(image)
                if frame >= 2:  # the threads of the one before may still spin
                    times[name].append(1000 * (time.perf_counter() - start))
    return times


def memory_of(given, run: str, size: str) -> str:
    command = [sys.executable, __file__, given.model, "--memory", run, "--sizes", size]
    answer = subprocess.run(command, capture_output=True, text=True)
    return answer.stdout.split()[-1] if answer.returncode == 0 else "–"


def print_memory(given) -> None:
    """Peak growth of this process over what it held before the model was made ready, MB."""
    size = frame_size(given.sizes)
    model = load(given.model, given.device)
    held = psutil.Process().memory_info().rss
    runtime = prepare(model, size, choice(given.memory, given.device))
    for _ in range(3):
        runtime(np.zeros((*size, 3), np.uint8))
    print(round((psutil.Process().memory_info().rss - held) / 2**20))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--sizes", default="360x640,512x1024", help="HxW, comma-separated")
    parser.add_argument("--runs", default=",".join(RUNS), help="backend:precision:mode")
    parser.add_argument("--repeats", type=int, default=8, help="turns of each")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--on", default="streets")
    parser.add_argument("--limit", type=int, default=8, help="frames for parity; 0 leaves it out")
    parser.add_argument("--memory", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.memory:
        print_memory(given)
        return
    print(f"machine  {machine()}, load {psutil.getloadavg()[0]:.1f}")
    model = load(given.model, given.device)
    frames = labelled_frames(given.on, None, {}, given.limit) if given.limit else None
    head = ("size", "backend", "precision", "mode", "fps", "p50", "p95", "p99 ms", "ratio", "MB")
    print(("{:>9} " * len(head)).format(*head), "rank corr.   AP")
    for size in given.sizes.split(","):
        table(given, model, size, frames)


def table(given, model, size: str, frames) -> None:
    height, width = frame_size(size)
    runtimes = {}
    for run in given.runs.split(","):
        try:
            runtimes[run] = prepare(model, (height, width), choice(run, given.device))
            runtimes[run](np.zeros((height, width, 3), np.uint8))
        except (UserError, RuntimeError) as error:
            print(f"{size:>9} {run}: {str(error).splitlines()[0][:90]}")
            runtimes.pop(run, None)
    image = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
    times = measure(runtimes, image, given.repeats)
    eager = np.median(times.get("torch:f32:eager", [np.nan]))
    for run, runtime in runtimes.items():
        values = np.array(times[run])
        p50, p95, p99 = np.percentile(values, (50, 95, 99))
        memory = memory_of(given, run, size)
        row = (size, *run.split(":"), f"{1000 / p50:.1f}", f"{p50:.0f}", f"{p95:.0f}", f"{p99:.0f}")
        print(("{:>9} " * 8).format(*row), f"{eager / p50:>8.2f}x {memory:>8}", end=" ")
        if frames is not None:
            reference = prepare(model, (height, width), Choice("torch", device=given.device))
            parity = compare(reference, runtime, scaled(frames, height, width), given.on)
            print(f"{parity.ranks:>10} {parity.ap_before:.2f} → {parity.ap_after:.2f}")
        else:
            print()


if __name__ == "__main__":
    main()
