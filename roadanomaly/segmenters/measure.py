"""What a segmenter costs on one image: operations, time and memory."""

from __future__ import annotations

import resource
import statistics
import sys
import time
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from roadanomaly.segmenters.base import Segmenter
from roadanomaly.types import Segmentation

RUNS = 5


@dataclass(frozen=True)
class Cost:
    """What one pass costs.

    Args:
        parameters: how many numbers are learned, frozen ones included.
        gflops: 1e9 floating-point operations, a multiplication and an addition counting as two;
            0 where another runtime than PyTorch computes.
        milliseconds: median of five passes after one that is not counted.
        megabytes: of memory at its peak: what PyTorch allocates on a GPU, else the process.
    """

    parameters: int
    gflops: float
    milliseconds: float
    megabytes: float


@torch.inference_mode()
def measure(segmenter: Segmenter, image: Tensor) -> tuple[Segmentation, Cost]:
    """Segment an image with all features, and say what that costs.

    Args:
        segmenter: in inference mode, on its device.
        image: `(1, 3, H, W)` float in 0..1 on that device.
    """
    names = list(segmenter.features)
    on_gpu = image.device.type == "cuda"
    if on_gpu:
        torch.cuda.reset_peak_memory_stats(image.device)
    with FlopCounterMode(display=False) as counter:
        segmentation = segmenter(image, names)
    times = []
    for _ in range(RUNS):
        began = time.perf_counter()
        segmenter(image, names)
        if on_gpu:
            torch.cuda.synchronize(image.device)
        times.append(1000 * (time.perf_counter() - began))
    parameters = sum(one.numel() for one in segmenter.parameters())
    gflops = counter.get_total_flops() / 1e9
    peak = torch.cuda.max_memory_allocated(image.device) if on_gpu else _process_peak()
    return segmentation, Cost(parameters, gflops, statistics.median(times), peak / 1e6)


def _process_peak() -> int:
    """Return the most memory that this process has held, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
