"""What a source that learns shows during training: samples, pasted scenes, likelihoods."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from roadanomaly.data import FrameSet
from roadanomaly.data.stack import stack
from roadanomaly.data.transforms import RandomScaleCrop
from roadanomaly.flows import ImageFlow
from roadanomaly.negatives import NegativeSource
from roadanomaly.report.flow_pictures import bits_of, draw, grid
from roadanomaly.report.pictures import column, row
from roadanomaly.training.crops import held_out_crops
from roadanomaly.training.run_config import RunConfig
from roadanomaly.training.validation import Validator
from roadanomaly.types import Batch, as_grey_levels

SEED = 20_231
SIDE = 64
"""Pixels a side of the crops and samples whose likelihood is compared."""

COUNT = 64
"""Crops and samples of each kind."""


def watch_source(
    source: NegativeSource, flow: ImageFlow, validator: Validator, config: RunConfig
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return pictures and histograms for the log.

    Args:
        source: mixes its negatives into scenes.
        flow: that learns in it.
        validator: whose inlier frames, and whose negatives, the flow has not seen.
        config: of the run.

    Returns:
        pictures: samples, and scenes with negatives; and the bits per dimension of inlier crops,
        of samples, and, where the validation has negatives, of crops around those.
    """
    training = flow.training
    flow.eval()
    side = flow.stride * max(1, SIDE // flow.stride)
    samples = draw(flow, COUNT, side, side, seed=SEED)
    inliers = held_out_crops(validator.frames, COUNT, (side, side), (1.0, 1.0))
    histograms = {"bits/inliers": bits_of(flow, inliers), "bits/samples": bits_of(flow, samples)}
    negatives = negative_crops(validator, COUNT, side)
    if len(negatives):
        histograms["bits/negatives"] = bits_of(flow, negatives)
    pictures = {
        "flow/samples": grid(samples[:32]),
        "flow/scenes": scenes(source, validator.frames, config.crop),
    }
    flow.train(training)
    return pictures, histograms


def negative_crops(validator: Validator, count: int, side: int) -> Tensor:
    """Return `(N, 3, side, side)` uint8 windows of the validation's mixed frames, at negatives."""
    found: list[Tensor] = []
    if validator.source is None:
        return torch.empty(0, 3, side, side, dtype=torch.uint8)
    for number in range(min(len(validator.frames), count)):
        frame = validator.mixed(number)
        assert frame.label is not None
        rows, columns = Batch(frame.image, frame.label, ()).negative.nonzero(as_tuple=True)
        height, width = frame.image.shape[-2:]
        if not len(rows) or min(height, width) < side:
            continue
        top = int((rows.float().median() - side / 2).clamp(0, height - side))
        left = int((columns.float().median() - side / 2).clamp(0, width - side))
        found.append(frame.image[:, top : top + side, left : left + side])
    return torch.stack(found) if found else torch.empty(0, 3, side, side, dtype=torch.uint8)


@torch.no_grad()
def scenes(
    source: NegativeSource,
    frames: FrameSet,
    size: tuple[int, int],
    count: int = 8,
    seed: int = SEED,
) -> np.ndarray:
    """Show crops of frames, `size` high and wide, with the source's negatives pasted in."""
    cut = RandomScaleCrop(*size, 1.0, 1.0)
    crops = [
        cut(frames[number % len(frames)], np.random.default_rng([seed, number]))
        for number in range(count)
    ]
    mixed = as_grey_levels(mix_all(source, stack(crops), np.random.default_rng(seed)).image).cpu()
    arrays = [np.ascontiguousarray(one.permute(1, 2, 0).numpy()) for one in mixed]
    return column([row(arrays[first : first + 4]) for first in range(0, count, 4)])


def mix_all(source: NegativeSource, batch: Batch, rng: np.random.Generator) -> Batch:
    """Mix a uint8 batch through all stages of a source; float, on the source's device."""
    if source.stage != "step":
        batch = source.mix(batch, rng)
    device = next((p.device for p in source.parameters()), torch.device("cpu"))
    batch = batch.to(device)
    return batch if source.stage == "loader" else source.mix(batch, rng)
