"""What a detector costs beside the segmenter that runs anyway: time and peak memory.

    python benchmarks/detector_cost.py --weights espnetv2_s_2.0_city_1024x512.pth

Time: plain segmenter (label map at image size) and segmenter with detector (label map and score)
take turns on the same input in one process. Memory: each in a process of its own, as the growth of
its peak over what it held before the first image.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch

import roadanomaly as ra
from roadanomaly.training.record import machine

READS_FEATURES = ("densehybrid", "embedding_density")
READY = ("trained", "fitted")
"""Buffers that say whether a detector has learned; what it learned does not change its time."""


def build(detector: str, scale: float, weights: str | None, features: list[str]):
    options: dict = {"features": features} if detector in READS_FEATURES else {}
    if detector == "densehybrid":
        options["smooth"] = 11
    segmenter = ra.segmenter("espnetv2", scale=scale, weights=weights)
    model = ra.Model(segmenter, ra.detector(detector, **options))
    for name, buffer in model.detector.named_buffers():
        if name in READY:
            buffer.fill_(True)
    return model


@torch.inference_mode()
def plain(model, image):
    return model.segmenter(image).classes()


@torch.inference_mode()
def scored(model, image):
    score, segmentation = model.score(image)
    return segmentation.classes(), score


def measure_time(model, image, repeats: int) -> tuple[float, float]:
    times = {plain: [], scored: []}
    for turn in range(repeats + 2):
        for run in (plain, scored) if turn % 2 else (scored, plain):
            start = time.perf_counter()
            run(model, image)
            if turn >= 2:
                times[run].append(1000 * (time.perf_counter() - start))
    return statistics.median(times[plain]), statistics.median(times[scored])


def peak_so_far() -> float:
    """Largest resident memory of this process until now, MB (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


def peak_memory(arguments: list[str], what: str) -> float:
    command = [sys.executable, __file__, *arguments, "--memory", what]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(answer.stdout.split()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--detector", default="densehybrid")
    parser.add_argument("--features", default="decoder4,decoder8,encoder16")
    parser.add_argument("--scale", type=float, default=2.0)
    parser.add_argument("--weights", default=None)
    parser.add_argument("--height", type=int, default=512)
    parser.add_argument("--width", type=int, default=1024)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--memory", choices=["plain", "scored"], help=argparse.SUPPRESS)
    given = parser.parse_args()
    model = build(given.detector, given.scale, given.weights, given.features.split(","))
    image = torch.rand(1, 3, given.height, given.width)
    if given.memory:
        held = peak_so_far()
        for _ in range(3):
            (plain if given.memory == "plain" else scored)(model, image)
        print(peak_so_far() - held)
        return
    alone, both = measure_time(model, image, given.repeats)
    memory = [peak_memory(sys.argv[1:], what) for what in ("plain", "scored")]
    print(f"machine   {machine()}")
    print(f"input     {given.height}x{given.width}, espnetv2 s={given.scale}, {given.detector}")
    print(f"time      {alone:.1f} ms alone, {both:.1f} ms with detector: {both / alone:.3f}x")
    print(f"memory    {memory[0]:.0f} MB alone, {memory[1]:.0f} MB: {memory[1] / memory[0]:.3f}x")


if __name__ == "__main__":
    main()
