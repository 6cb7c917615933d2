"""Training and inference on a GPU beside the bare segmenter: how near to its limit each comes.

    python benchmarks/gpu.py                        # 5 minutes at most on a card
    python benchmarks/gpu.py --minutes 2 --out gpu.jsonl
    python benchmarks/gpu.py --only published       # UEM on DINOv2-B, RbA on Mask2Former Swin-B
    python benchmarks/gpu.py --small                # every part in seconds, on the CPU

Made weights and made frames: smoothed noise, drawn by torch, since the procedural streets need
OpenCV. Of the packages, it needs PyTorch 2.9 or later, safetensors, jsonargparse, zuko (without it
`embedding_density` is left out) and transformers (without it `published` is); neither Lightning,
which the training step does not use, nor what decodes pictures and videos. `jsrnet` and `dacup`
need OpenCV and are not measured.

One JSON line a part, the most important first, so that what was measured stays when time runs out.
Each is the median after a warm-up. `bare` is the segmenter in the same run: the limit. A training
step is what the trainer runs, with fused Adam in `step_ms` and without in `forward_backward_ms`.
`ratio` is the bare model's time over this one's: 1 costs nothing. `published` has the widths, crops
and batches of `configs/published`, its weights drawn from a config: nothing is fetched.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gpu_parts import (
    LAYOUTS,
    attached,
    build,
    clear,
    made_batch,
    smooth_noise,
    stepped,
    timed_step,
)
from gpu_timing import FULL, SMALL, Bench, both_ways
from torch import Tensor

from roadanomaly.detectors import Detector
from roadanomaly.errors import UserError
from roadanomaly.metrics.pixel import frame_curve
from roadanomaly.negatives.flow import FlowSamples
from roadanomaly.segmenters import SEGMENTERS, Segmenter
from roadanomaly.types import Batch

DETECTOR_NAMES = (
    "max_logit",
    "energy",
    "msp",
    "entropy",
    "densehybrid",
    "nflowjs",
    "mahalanobis",
    "embedding_density",
    "image_resynthesis",
)
"""That can be measured without data: what the others learn changes no cost."""
PARTS = ("training", "inference", "evaluation", "published", "joint_flow")


def training(bench: Bench, network: str, layout: str) -> dict[str, Any]:
    """DenseHybrid's step on a network beside the network's own."""
    segmenter = build(bench, network, layout).train()
    batch = made_batch(bench, layout, bench.scale.batch, (bench.scale.crop, bench.scale.crop))

    def forward() -> None:
        with torch.no_grad(), bench.autocast():
            segmenter(batch.image)

    both = bare_step(bench, segmenter, batch)
    found = facts_of(bench, network, layout)
    found["bare"] = {"forward_ms": bench.median(forward), "forward_backward_ms": bench.median(both)}
    found["bare"]["peak_gb"] = bench.peak(both)
    clear(segmenter)
    step = stepped(attached(bench, "densehybrid", segmenter, {}), segmenter, None)
    found["densehybrid"] = timed_step(bench, step, batch)
    return with_ratio(bench, found, "densehybrid")


def bare_step(bench: Bench, segmenter: Segmenter, batch: Batch) -> Callable[[], None]:
    """Return the network's own forward and backward pass: the limit."""

    def both() -> None:
        clear(segmenter)
        with bench.autocast():
            losses = segmenter.loss(segmenter(batch.image), batch.label)
        torch.stack(list(losses.values())).sum().backward()

    return both


def facts_of(bench: Bench, network: str, layout: str) -> dict[str, Any]:
    return {"network": network, "layout": layout, "precision": bench.precisions[0]}


def with_ratio(bench: Bench, found: dict[str, Any], name: str) -> dict[str, Any]:
    bare, own = found["bare"]["forward_backward_ms"], found[name]["forward_backward_ms"]
    found["ratio"] = round(bare / own, 3)
    found["images_a_second"] = round(1000 * bench.scale.batch / found[name]["step_ms"], 1)
    return found


def joint_flow(bench: Bench, network: str, layout: str) -> dict[str, Any]:
    """NFlowJS with a DenseFlow-25-6 that learns beside the network."""
    segmenter = build(bench, network, layout).train()
    batch = made_batch(bench, layout, bench.scale.batch, (bench.scale.crop, bench.scale.crop))

    bare = bare_step(bench, segmenter, batch)
    found = facts_of(bench, network, layout)
    found["bare"] = {"forward_backward_ms": bench.median(bare)}
    for side in bench.scale.sides:
        clear(segmenter)
        with bench.device:
            flow = {"name": "denseflow", **bench.scale.flow}
            source = FlowSamples(flow=flow, side=(side, side))
        step = stepped(attached(bench, "nflowjs", segmenter, {}), segmenter, source)
        count = sum(one.numel() for one in source.flow.parameters())
        name = f"samples_{side}"
        found[name] = {"flow_parameters": count, **timed_step(bench, step, batch)}
        with_ratio(bench, found, name)
    return found


def inference(
    bench: Bench, network: str, layout: str, detectors: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """The network alone, then with each detector, as calls and as a replayed CUDA graph."""
    segmenter = build(bench, network, layout).eval()
    image = smooth_noise(bench, 1, bench.scale.frame).to(memory_format=LAYOUTS[layout])
    facts = {"network": network, "layout": layout, "frame": list(bench.scale.frame)}
    bare: dict[str, Any] = {}
    for precision in reversed(bench.precisions):

        def alone(precision: str = precision) -> Tensor:
            with bench.autocast(precision):
                return segmenter(image).logits

        bare = both_ways(bench, alone)
        yield {**facts, "detector": "none", "precision": precision, **bare}
    for name in detectors:
        found = {**facts, "detector": name, "precision": bench.precisions[0]}
        try:
            times = both_ways(bench, scoring(bench, name, segmenter, image))
        except (UserError, RuntimeError, ImportError) as error:
            yield {**found, "failed": str(error).splitlines()[0]}
            continue
        pairs = {key: bare.get(key) for key in times if key.endswith("_ms")}
        ratios = {
            key.replace("_ms", "_ratio"): round(limit / times[key], 3)
            for key, limit in pairs.items()
            if limit
        }
        yield {**found, **times, **ratios}


def evaluation(bench: Bench, network: str, layout: str) -> dict[str, Any]:
    """Frames a second of an evaluation: score, copy back, and measure behind, in a thread.

    Pixel metrics alone: those of components need OpenCV. `limit` is the bare network's rate.
    """
    segmenter = build(bench, network, layout).eval()
    image = smooth_noise(bench, 1, bench.scale.frame).to(memory_format=LAYOUTS[layout])
    score = scoring(bench, "densehybrid", segmenter, image)
    truth = np.zeros(bench.scale.frame, np.uint8)
    truth[: len(truth) // 4, ::2] = 1

    def alone() -> Tensor:
        with bench.autocast():
            return segmenter(image).logits

    with torch.inference_mode(), ThreadPoolExecutor(1) as measuring:
        limit = 1000 / bench.median(alone)
        count = 1 + bench.scale.repeats
        behind = []
        for number in range(count + 1):
            if number == 1:  # the first frame warms up
                began = time.perf_counter()
            behind.append(measuring.submit(frame_curve, score()[0].float().cpu().numpy(), truth))
        for one in behind:
            one.result()
        rate = count / (time.perf_counter() - began)
    return {
        **facts_of(bench, network, layout),
        "frame": list(bench.scale.frame),
        "frames_a_second": round(rate, 2),
        "limit": round(limit, 2),
        "ratio": round(rate / limit, 3),
    }


def published(bench: Bench, name: str) -> Iterator[dict[str, Any]]:
    """A published recipe's detector on its network: the training step, then frames.

    `forward_ms` is the network alone on the same crops, without gradients.
    """
    recipe = bench.scale.published[name]
    try:
        segmenter = SEGMENTERS.build("transformers", {"config": recipe.network}).to(bench.device)
        segmenter = segmenter.train()
        detector = attached(bench, recipe.detector, segmenter, recipe.options)
    except (UserError, ImportError) as error:
        yield {"network": name, "left_out": str(error).splitlines()[0]}
        return
    batch = made_batch(bench, "contiguous", recipe.batch, recipe.crop)
    step = stepped(detector, segmenter, None)

    def forward() -> None:
        with torch.no_grad(), bench.autocast():
            segmenter(batch.image)

    facts = {**facts_of(bench, name, "contiguous"), "detector": recipe.detector}
    facts["parameters"] = sum(one.numel() for one in segmenter.parameters())
    found = {"forward_ms": bench.median(forward), **timed_step(bench, step, batch)}
    rate = round(1000 * recipe.batch / found["step_ms"], 2)
    size = {"crop": list(recipe.crop), "batch": recipe.batch}
    yield {**facts, "of": "training", **size, **found, "images_a_second": rate}
    clear(step)
    step.eval()
    image = smooth_noise(bench, 1, recipe.frame)
    times = both_ways(bench, of_frame(bench, detector, segmenter, image))
    yield {**facts, "of": "inference", "frame": list(recipe.frame), **times}


def scoring(bench: Bench, name: str, segmenter: Segmenter, image: Tensor) -> Callable[[], Tensor]:
    """Return the work of a frame with a detector that is built for it."""
    detector = attached(bench, name, segmenter, options_of(bench, name)).eval()
    return of_frame(bench, detector, segmenter, image)


def of_frame(
    bench: Bench, detector: Detector, segmenter: Segmenter, image: Tensor
) -> Callable[[], Tensor]:
    """Return the work of a frame: image to score at image size."""

    def work() -> Tensor:
        with bench.autocast():
            return detector.score(detector.look(segmenter, image), image)

    return work


def options_of(bench: Bench, name: str) -> dict[str, Any]:
    if name != "image_resynthesis":
        return {}
    width, (height, length) = bench.scale.drawing
    size = [height, length]
    return {
        "generator": {"name": "spade", "width": width, "ups": 4, "hidden": 2 * width},
        "generator_size": size,
        "encoder": {"name": "vgg", "weights": "none"},
        "size": size,
        "width": width,
    }


def parts() -> Iterator[tuple[str, Callable[[Bench], Iterator[dict[str, Any]]]]]:
    """Names and work, the most important first."""

    def one(make: Callable[..., dict[str, Any]], *given: str):
        return lambda bench: iter([make(bench, *given)])

    def many(network: str, layout: str, detectors: Sequence[str] = DETECTOR_NAMES):
        return lambda bench: inference(bench, network, layout, detectors)

    for network in ("espnetv2", "deeplab_wrn38"):
        for layout in ("channels_last", "contiguous"):
            yield "training", one(training, network, layout)
    yield "inference", many("espnetv2", "channels_last")
    yield "evaluation", one(evaluation, "espnetv2", "channels_last")
    for network in ("dinov2_b", "mask2former_swin_b"):
        yield "published", partial(published, name=network)
    yield "joint_flow", one(joint_flow, "espnetv2", "channels_last")
    yield "inference", many("deeplab_wrn38", "channels_last", DETECTOR_NAMES[:-1])
    yield "inference", many("espnetv2", "contiguous", ())


def machine(device: torch.device) -> dict[str, Any]:
    card = torch.cuda.get_device_name(device) if device.type == "cuda" else None
    return {"device": card or device.type, "torch": torch.__version__, "cuda": torch.version.cuda}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0, help="after which nothing is begun")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="parts")
    parser.add_argument("--small", action="store_true", help="small networks and frames")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--out", type=Path, help="file that gets the lines too")
    given = parser.parse_args()
    device = torch.device(given.device)
    if device.type == "cpu" and not given.small:
        parser.error("at full size this needs a card; `--small` runs on the CPU.")
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = True
    # a tenth is left for the part that is running when time is up
    ends = time.perf_counter() + 54 * given.minutes
    bench = Bench(device, SMALL if given.small else FULL, ends)
    with given.out.open("w") if given.out else contextlib.nullcontext() as file:

        def say(line: dict[str, Any]) -> None:
            text = json.dumps(line)
            print(text, flush=True)
            if file:
                print(text, file=file, flush=True)

        say({"part": "machine", **machine(device), "small": given.small})
        for name, work in parts():
            if name not in given.only:
                continue
            try:
                for found in work(bench):
                    say({"part": name, **found})
            except TimeoutError:
                say({"part": name, "left_out": "time is up"})
            except RuntimeError as error:  # out of memory, most of all: the other parts go on
                say({"part": name, "failed": str(error).splitlines()[0]})
            if bench.cuda:
                torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
