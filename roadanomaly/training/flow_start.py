"""Start a flow's normalisation, before several processes part."""

from __future__ import annotations

import torch

from roadanomaly.flows import ImageFlow
from roadanomaly.flows.actnorm import ActNorm
from roadanomaly.types import Batch, as_grey_levels


def is_started(flow: ImageFlow) -> bool:
    """Whether every `ActNorm` of a flow has seen its first batch."""
    norms = [layer for layer in flow.modules() if isinstance(layer, ActNorm)]
    return all(layer.is_started() for layer in norms)


@torch.no_grad()
def start_flow(flow: ImageFlow, batch: Batch) -> None:
    """Let the flow see the inlier images of a batch, cut to what its stride divides.

    Args:
        flow: on its device; its mode is left as it was.
        batch: float, on the same device.

    Raises:
        OptionError: the crops are smaller than the flow's stride.
    """
    images = as_grey_levels(batch.image if batch.original is None else batch.original)
    height, width = (side // flow.stride * flow.stride for side in images.shape[-2:])
    training = flow.training
    flow.train()
    flow.bits_per_dim(images[..., :height, :width])
    flow.train(training)
