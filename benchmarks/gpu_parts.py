"""Made networks, batches and steps that the GPU benchmark measures."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gpu_timing import Bench
from torch import Tensor
from torch.nn import functional

from roadanomaly.detectors import DETECTORS, Detector
from roadanomaly.negatives.flow import FlowSamples
from roadanomaly.segmenters import SEGMENTERS, Segmenter
from roadanomaly.training.step import TrainingStep
from roadanomaly.types import IGNORE, NEGATIVE, Batch

LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


def made_batch(bench: Bench, layout: str, count: int, size: tuple[int, int]) -> Batch:
    """Crops of smoothed noise with classes, negatives and ignored pixels in blocks."""
    height, width = size
    image = smooth_noise(bench, count, size).to(memory_format=LAYOUTS[layout])
    label = torch.randint(0, 19, (count, 1, height // 16, width // 16), device=bench.device)
    label = functional.interpolate(label.float(), size=size)[:, 0].to(torch.uint8)
    label[:, : height // 16] = IGNORE
    label[:, height // 2 : height // 2 + height // 8, : width // 8] = NEGATIVE
    return Batch(image, label, tuple(str(number) for number in range(count)))


def smooth_noise(bench: Bench, count: int, size: tuple[int, int]) -> Tensor:
    """Images `(count, 3, H, W)` float in 0..1."""
    coarse = torch.rand(count, 3, size[0] // 8, size[1] // 8, device=bench.device)
    return functional.interpolate(coarse, size=size, mode="bilinear")


def build(bench: Bench, network: str, layout: str = "contiguous") -> Segmenter:
    torch.manual_seed(0)
    with bench.device:
        made = SEGMENTERS.build(network, bench.scale.networks[network])
    return made.to(memory_format=LAYOUTS[layout])


def attached(bench: Bench, name: str, segmenter: Segmenter, options: dict[str, Any]) -> Detector:
    """A detector as it is after its preparation, with made values."""
    with bench.device:
        detector = DETECTORS.build(name, options)
        detector.check_kind(segmenter)
        detector.attach(segmenter)
    detector.ready = True
    if name == "mahalanobis":
        detector.present.fill_(True)
    return detector


def clear(module: torch.nn.Module) -> None:
    for parameter in module.parameters():
        parameter.grad = None


def stepped(detector: Detector, segmenter: Segmenter, source: FlowSamples | None) -> TrainingStep:
    step = TrainingStep(
        segmenter,
        detector,
        source,
        freeze_batch_norm=False,
        supervise="logits",
        distill=0.0,
    )
    return step.train()


def timed_step(bench: Bench, step: TrainingStep, batch: Batch) -> dict[str, Any]:
    """Time a step, with and without the optimiser; a source's chance is the same each time."""
    moving = [one for one in step.parameters() if one.requires_grad]
    optimiser = torch.optim.Adam(moving, 1e-6, fused=bench.cuda)

    def both() -> None:
        clear(step)
        with bench.autocast():
            losses = step(batch, np.random.default_rng(0))
        torch.stack(list(losses.values())).sum().backward()

    def whole() -> None:
        both()
        optimiser.step()

    return {
        "forward_backward_ms": bench.median(both),
        "step_ms": bench.median(whole),
        "peak_gb": bench.peak(whole),
    }
