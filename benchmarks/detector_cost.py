"""What a detector costs beside the segmenter that runs anyway: time and peak memory.

    python benchmarks/detector_cost.py --weights espnetv2_s_2.0_city_1024x512.pth
    python benchmarks/detector_cost.py --detector synboost --published --repeats 3

Time: plain segmenter (label map at image size) and segmenter with detector (label map and score)
take turns on the same input in one process. Memory: each in a process of its own, as the growth of
its peak over what it held before the first image. Of detectors that are made of networks, the time
of each is printed too; `--published` takes their published sizes, and without it they have those
of `configs/`. `--step` measures a training step on one image in place of inference. What the
networks have learned does not change their cost, so none is trained.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

import roadanomaly as ra
from roadanomaly.evaluation.cost import in_turns, peak_growth, plain, scored
from roadanomaly.refiners import REFINERS
from roadanomaly.training.record import machine
from roadanomaly.types import NEGATIVE, Batch

READS_FEATURES = ("densehybrid", "embedding_density")
PARTS = (
    "generator",
    "encoder",
    "perceptual",
    "network",
    "reconstruction",
    "embed",
    "coupling",
)
"""Networks of a detector whose time is told apart, where it has them."""

SMALL = {
    "generator": {"name": "spade", "width": 16, "middle": 1, "hidden": 16, "norm": "instance"},
    "generator_size": [192, 256],
    "encoder": {"name": "timm", "stages": [0, 1, 2, 3], "weights": "none"},
    "train_encoder": False,
    "size": [288, 384],
    "width": 32,
}
VGG16, VGG19 = ({"name": "vgg", "depth": depth, "weights": "none"} for depth in (16, 19))
DRAWING = {
    "image_resynthesis": {
        "generator": {"name": "pix2pixhd"},
        "generator_size": [512, 1024],
        "encoder": VGG16,
        "size": [512, 1024],
    },
    "synboost": {
        "generator": {"name": "spade"},
        "generator_size": [256, 512],
        "encoder": VGG16,
        "perceptual": VGG19,
        "size": [256, 512],
    },
}
"""Published sizes of the detectors that draw the image again."""

ROAD = {"jsrnet": {"width": 64, "widths": [64, 48, 32, 16]}}
ROAD["dacup"] = {**ROAD["jsrnet"], "embedding_width": 64, "inpaint_size": [144, 192]}
"""Sizes of the road detectors in `configs/`; their own are the published ones."""


def build(given: argparse.Namespace):
    name = given.detector
    options: dict = {"features": given.features.split(",")} if name in READS_FEATURES else {}
    refiners = [REFINERS.build("smooth", {"window": 11})] if name == "densehybrid" else []
    if name in DRAWING:
        options = DRAWING[name] if given.published else SMALL
    if name in ROAD and not given.published:
        options = ROAD[name]
    segmenter = ra.segmenter("espnetv2", scale=given.scale, weights=given.weights)
    model = ra.Model(segmenter, ra.detector(name, **options), refiners=refiners)
    model.detector.ready = True  # what it learned does not change its time
    return model


def step(model, image):
    """One training step of the detector; the segmenter is frozen."""
    model.detector.train()
    label = torch.zeros(len(image), *image.shape[-2:], dtype=torch.uint8)
    label[:, : image.shape[-2] // 4] = NEGATIVE
    with torch.no_grad():
        segmentation = model.segmenter(image, model.detector.needs)
    losses = model.detector.loss(segmentation, Batch(image, label, ("",)))
    sum(losses.values()).backward()
    model.detector.zero_grad(set_to_none=True)


RUNS = {"plain": plain, "scored": scored, "step": step}


@contextmanager
def stopwatch(parts: dict[str, nn.Module]) -> Iterator[dict[str, list[float]]]:
    """Yield the times of the forward passes of modules, ms, as they come."""
    times: dict[str, list[float]] = {name: [] for name in parts}
    began: dict[str, float] = {}
    hooks = []
    for name, part in parts.items():

        def start(*_, name=name):
            began[name] = time.perf_counter()

        def stop(*_, name=name):
            times[name].append(1000 * (time.perf_counter() - began[name]))

        hooks += [part.register_forward_pre_hook(start), part.register_forward_hook(stop)]
    try:
        yield times
    finally:
        for hook in hooks:
            hook.remove()


def measure_parts(model, image, repeats: int, run) -> dict[str, float]:
    """Return the median time of each network in one pass, ms; empty of a detector without any."""
    own = {name: getattr(model.detector, name, None) for name in PARTS}
    parts = {name: part for name, part in own.items() if isinstance(part, nn.Module)}
    if not parts:
        return {}
    passes = []
    for _ in range(repeats):
        with stopwatch({"segmenter": model.segmenter, **parts}) as times:
            run(model, image)
        passes.append({name: sum(found) for name, found in times.items()})
    return {name: statistics.median(one[name] for one in passes) for name in passes[0]}


def peak_memory(arguments: list[str], what: str) -> float:
    command = [sys.executable, __file__, *arguments, "--memory", what]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(answer.stdout.split()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--detector", default="densehybrid")
    parser.add_argument("--features", default="decoder4,decoder8,encoder16")
    parser.add_argument("--scale", type=float, default=2.0)
    parser.add_argument("--weights", default=None)
    parser.add_argument("--height", type=int, default=512)
    parser.add_argument("--width", type=int, default=1024)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--published", action="store_true", help="published sizes")
    parser.add_argument("--step", action="store_true", help="a training step, not inference")
    parser.add_argument("--memory", choices=list(RUNS), help=argparse.SUPPRESS)
    given = parser.parse_args()
    model = build(given)
    image = torch.rand(1, 3, given.height, given.width)
    if given.memory:
        print(peak_growth(model, image, RUNS[given.memory])[0])
        return
    what = "step" if given.step else "scored"
    alone, both = in_turns(model, image, given.repeats, RUNS[what])
    parts = measure_parts(model, image, given.repeats, RUNS[what])
    memory = [peak_memory(sys.argv[1:], one) for one in ("plain", what)]
    size = " at published sizes" if given.published else ""
    print(f"machine   {machine()}")
    print(
        f"input     {given.height}x{given.width}, espnetv2 s={given.scale}, {given.detector}{size}"
    )
    doing = "a training step" if given.step else "with detector"
    print(f"time      {alone:.1f} ms alone, {both:.1f} ms {doing}: {both / alone:.3f}x")
    for name, found in parts.items():
        print(f"  {name:<10} {found:.1f} ms: {found / alone:.3f}x")
    if parts:
        rest = both - sum(parts.values())
        print(f"  {'the rest':<10} {rest:.1f} ms: {rest / alone:.3f}x")
    print(f"memory    {memory[0]:.0f} MB alone, {memory[1]:.0f} MB: {memory[1] / memory[0]:.3f}x")


if __name__ == "__main__":
    main()
