"""What the GPU benchmark measures with: sizes, and times and memory within a limit of time."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

WARM_UP = 3


@dataclass(frozen=True)
class Recipe:
    """A detector on a network of transformers, as large as its published recipe.

    Args:
        network: config with which random weights are drawn.
        detector: name.
        options: of the detector.
        crop: height and width of the training crops.
        batch: of them.
        frame: height and width of an image at inference.
    """

    network: dict[str, Any]
    detector: str
    options: dict[str, Any]
    crop: tuple[int, int]
    batch: int
    frame: tuple[int, int]


@dataclass(frozen=True)
class Scale:
    """How large everything is.

    Args:
        networks: names and options of the segmenters.
        crop: side of the training crops.
        batch: of them.
        frame: height and width of an image at inference.
        flow: options of DenseFlow.
        sides: of its samples: one to time, the largest one for the peak of memory.
        drawing: width of the networks of `image_resynthesis`, and size that it works at.
        repeats: timed calls at most.
        published: recipes by network.
    """

    networks: dict[str, dict[str, Any]]
    crop: int
    batch: int
    frame: tuple[int, int]
    flow: dict[str, Any]
    sides: tuple[int, ...]
    drawing: tuple[int, tuple[int, int]]
    repeats: int
    published: dict[str, Recipe]


DINOV2_B = {"model_type": "dinov2_with_registers", "patch_size": 14, "image_size": 518}
SWIN_B = {
    "model_type": "swin",
    "image_size": 384,
    "embed_dim": 128,
    "depths": [2, 2, 18, 2],
    "num_heads": [4, 8, 16, 32],
    "window_size": 12,
    "out_features": ["stage1", "stage2", "stage3", "stage4"],
}
SMALL_VIT = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 56}
SMALL_SWIN = {**SWIN_B, "embed_dim": 8, "depths": [1, 1, 1, 1], "num_heads": [1, 1, 1, 1]}
SMALL_MASKS = {
    "feature_size": 64,
    "mask_feature_size": 64,
    "hidden_dim": 64,
    "encoder_feedforward_dim": 16,
    "encoder_layers": 1,
    "decoder_layers": 2,
    "dim_feedforward": 16,
    "num_attention_heads": 2,
    "num_queries": 7,
}
RBA = {"moves": "heads", "margins": [-1.0, -0.1], "weight": 1.0}
FULL_PUBLISHED = {
    "dinov2_b": Recipe(
        DINOV2_B,
        "uem",
        {"form": "linear", "feature": "block11", "hidden": 512, "width": 256, "layers": 3},
        (518, 1036),
        8,
        (1022, 2044),
    ),
    "mask2former_swin_b": Recipe(
        {"model_type": "mask2former", "backbone_config": SWIN_B},
        "rba",
        RBA,
        (512, 1024),
        8,
        (1024, 2048),
    ),
}
"""Widths, crops and batches of `uem_dinov2_b` and `rba_coco_mask2former_swin_b`."""
SMALL_PUBLISHED = {
    "dinov2_b": Recipe(
        {**DINOV2_B, **SMALL_VIT},
        "uem",
        {"feature": "block1", "hidden": 8, "width": 8},
        (28, 56),
        2,
        (28, 56),
    ),
    "mask2former_swin_b": Recipe(
        {"model_type": "mask2former", "backbone_config": SMALL_SWIN, **SMALL_MASKS},
        "rba",
        RBA,
        (32, 64),
        2,
        (32, 64),
    ),
}

FULL = Scale(
    {"espnetv2": {"scale": 2.0}, "deeplab_wrn38": {}},
    512,
    12,
    (1024, 2048),
    {},
    (112, 216),
    (16, (256, 512)),
    30,
    FULL_PUBLISHED,
)
SMALL = Scale(
    {"espnetv2": {"scale": 0.5}, "deeplab_wrn38": {"narrow": 16}},
    32,
    2,
    (32, 64),
    {"units": [1, 1], "modules": [1, 1], "width": 8, "depth": 2, "network_growth": 4},
    (16,),
    (2, (32, 64)),
    1,
    SMALL_PUBLISHED,
)


@dataclass(frozen=True)
class Bench:
    """Where and how long is measured.

    Args:
        device: that everything is on.
        scale: of everything.
        ends: `time.perf_counter()` when time is up.
    """

    device: torch.device
    scale: Scale
    ends: float

    @property
    def cuda(self) -> bool:
        """Whether a card is measured."""
        return self.device.type == "cuda"

    def left(self) -> float:
        """Return the seconds until time is up."""
        return self.ends - time.perf_counter()

    def synchronise(self) -> None:
        """Wait until the card has done its work."""
        if self.cuda:
            torch.cuda.synchronize()

    @property
    def precisions(self) -> tuple[str, ...]:
        """What inference is measured in, training in the first; processors are slow in bf16."""
        return ("bf16", "f32") if self.cuda else ("f32",)

    def autocast(self, precision: str | None = None) -> torch.autocast:
        """Return the context to compute in; by default the first precision's."""
        half = (precision or self.precisions[0]) == "bf16"
        return torch.autocast(self.device.type, torch.bfloat16, enabled=half)

    def median(self, work: Callable[[], object], seconds: float = 3.0) -> float:
        """Median milliseconds of a call, by CUDA events on a card.

        Raises:
            TimeoutError: no time is left.
        """
        if self.left() <= 0:
            raise TimeoutError
        for _ in range(WARM_UP if self.cuda else 0):
            work()
        self.synchronise()
        began = time.perf_counter()
        work()
        self.synchronise()
        once = max(time.perf_counter() - began, 1e-5)
        budget = min(seconds, max(self.left(), 0))
        count = int(min(self.scale.repeats, max(3, budget / once)))
        return round(statistics.median(self._timed(work) for _ in range(count)), 3)

    def _timed(self, work: Callable[[], object]) -> float:
        if not self.cuda:
            began = time.perf_counter()
            work()
            return 1000 * (time.perf_counter() - began)
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        work()
        end.record()
        end.synchronize()
        return start.elapsed_time(end)

    def peak(self, work: Callable[[], object]) -> float | None:
        """Largest memory that a call takes, all that is held included, GB; None off a card."""
        if not self.cuda:
            return None
        torch.cuda.reset_peak_memory_stats()
        work()
        self.synchronise()
        return round(torch.cuda.max_memory_allocated() / 2**30, 2)


def both_ways(bench: Bench, work: Callable[[], Tensor]) -> dict[str, Any]:
    """Milliseconds and frames a second of calls, and of replays of a CUDA graph on a card."""
    with torch.inference_mode():
        times = {"eager": bench.median(work, 1.5)}
        found: dict[str, Any] = {"peak_gb": bench.peak(work)}
        if bench.cuda:
            try:
                times["graph"] = bench.median(recorded(work).replay, 1.5)
            except RuntimeError as error:
                found["graph_failed"] = str(error).splitlines()[0]
    for way, took in times.items():
        found |= {f"{way}_ms": took, f"{way}_frames_a_second": round(1000 / took, 1)}
    return found


def recorded(work: Callable[[], Tensor]) -> torch.cuda.CUDAGraph:
    """Record the work of one frame, as the runtime `torch` does in its mode `cuda_graph`."""
    beside = torch.cuda.Stream()
    beside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(beside):
        for _ in range(WARM_UP):
            work()
    torch.cuda.current_stream().wait_stream(beside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    return graph
