"""What a detector costs beside the segmenter that runs anyway: time in turns, and peak memory."""

from __future__ import annotations

import contextlib
import math
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from roadanomaly.model import Model

UNCOUNTED = 2
"""Turns before those that count."""

Doing = Callable[[Model, Tensor], object]


def plain(model: Model, image: Tensor) -> Tensor:
    """Return the label map of the segmenter alone, at image size."""
    with torch.inference_mode():
        return model.segmenter(image).classes()


def scored(model: Model, image: Tensor) -> tuple[Tensor | None, Tensor]:
    """Return label map and score; no label map where the detector does without the segmenter."""
    score, segmentation = model.score(image)
    if not segmentation.logits.shape[1]:
        return None, score
    with torch.inference_mode():
        return segmentation.classes(), score


def in_turns(model: Model, image: Tensor, repeats: int, doing: Doing) -> tuple[float, float]:
    """Return the median times of the segmenter alone and of `doing`, ms, which take turns.

    What else the machine does at the time then slows both.

    Args:
        model: on its device.
        image: `(B, 3, H, W)` float in 0..1 on that device.
        repeats: turns that count.
        doing: takes model and image.
    """
    times: dict[Doing, list[float]] = {plain: [], doing: []}
    for turn in range(repeats + UNCOUNTED):
        for one in (plain, doing) if turn % 2 else (doing, plain):
            start = time.perf_counter()
            one(model, image)
            if image.device.type == "cuda":
                torch.cuda.synchronize(image.device)
            if turn >= UNCOUNTED:
                times[one].append(1000 * (time.perf_counter() - start))
    return statistics.median(times[plain]), statistics.median(times[doing])


def peak_so_far() -> float:
    """Return the largest resident memory of this process until now, MB; NaN where it is not told.

    Linux tells.
    """
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return math.nan
    told = next((line for line in lines if line.startswith("VmHWM")), None)
    return math.nan if told is None else int(told.split()[1]) / 1024


def peak_growth(model: Model, image: Tensor, *doing: Doing, passes: int = 3) -> list[float]:
    """Return by how much the peak memory grows over what was held before, MB, one after another.

    What the first one left is held on to, so name the one that takes less first.

    Args:
        model: on its device.
        image: `(B, 3, H, W)` float in 0..1 on that device.
        doing: each takes model and image.
        passes: of each.
    """
    _forget_peak()
    held = peak_so_far()
    found = []
    for one in doing:
        for _ in range(passes):
            one(model, image)
        found.append(peak_so_far() - held)
    return found


def _forget_peak() -> None:
    """Let the peak begin at what is held now, where the system can do that: loading has one too."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
