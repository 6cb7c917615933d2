"""What a generator costs: time and peak memory of an inference and of a training step.

    python benchmarks/generator_cost.py --size 512x1024
    python benchmarks/generator_cost.py --size 512x1024 --generator pix2pixhd --step --save-memory

Published sizes, float32, one image. A step is the whole of it: generator, discriminators of the
published size, perceptual term on VGG's convolutions (without weights, which change no cost), one
backward pass, two Adams. Memory is the growth of the process's peak over what it held after its
imports (Linux), or of the accelerator's. Each is measured in a process of its own.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

import torch
from torch.optim import Adam

from roadanomaly.cli.parsing import frame_size
from roadanomaly.encoders import ENCODERS
from roadanomaly.generators import GENERATORS
from roadanomaly.generators.discriminators import Discriminators
from roadanomaly.training.generator_config import GeneratorConfig
from roadanomaly.training.generator_step import GeneratorStep
from roadanomaly.training.record import machine
from roadanomaly.types import Batch


def peak(device: str) -> float:
    """Largest memory of this process until now, GB."""
    if device != "cpu":
        return torch.cuda.max_memory_allocated() / 2**30
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 2**20


def inference(generator, batch) -> None:
    with torch.inference_mode():
        generator.eval()(batch.label)


def training_step(generator, batch):
    config = GeneratorConfig(generator={}, train_data={}, val_data={}, encoder={})
    encoder = ENCODERS.build("vgg", {"depth": 19, "weights": "none"})
    discriminators = Discriminators(generator.classes)
    step = (
        GeneratorStep(generator, discriminators, encoder, None, config)
        .to(batch.image.device)
        .train()
    )
    optimisers = [Adam(part.parameters(), 1e-4) for part in (generator, discriminators)]

    def run(*_) -> None:
        sum(step(batch).values()).backward()
        for optimiser in optimisers:
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)

    return run


def measure(given) -> None:
    height, width = frame_size(given.size)
    held = peak(given.device)
    options = {"save_memory": given.save_memory}
    generator = GENERATORS.build(given.generator, options).to(given.device)
    labels = torch.randint(0, 19, (1, height // 32, width // 32), dtype=torch.uint8)
    labels = labels.repeat_interleave(32, 1).repeat_interleave(32, 2)
    batch = Batch(torch.rand(1, 3, height, width), labels, ("noise",)).to(given.device)
    run = training_step(generator, batch) if given.step else inference
    times = []
    for _ in range(given.repeats):
        start = time.perf_counter()
        run(generator, batch)
        if given.device != "cpu":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    what = "training step" if given.step else "inference"
    kind = ", saving memory" if given.save_memory else ""
    print(
        f"{given.generator:10} {what:14} {height}x{width}{kind}: first {times[0]:.2f} s, "
        f"best {min(times):.2f} s, peak {peak(given.device) - held:.2f} GB",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="512x1024", help="HxW")
    parser.add_argument("--generator", choices=list(GENERATORS), help="default: each in turn")
    parser.add_argument("--step", action="store_true", help="a training step alone")
    parser.add_argument("--save-memory", action="store_true", help="recompute activations")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args()
    if given.generator:
        measure(given)
        return
    print(f"machine    {machine()}")
    for name in GENERATORS:
        for words in ([], ["--step"], ["--step", "--save-memory"]):
            command = [sys.executable, __file__, *sys.argv[1:], "--generator", name, *words]
            code = subprocess.run(command, check=False).returncode
            if code:
                print(f"{name:10} {' '.join(words)}: ended with {code} (9: out of memory)")


if __name__ == "__main__":
    main()
