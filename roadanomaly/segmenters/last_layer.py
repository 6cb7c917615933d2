"""The last layer of a network: the map that it reads, and the parameters that it has."""

from __future__ import annotations

import torch
from torch import nn

from roadanomaly.segmenters.base import Segmenter

SIDE = 8
"""Of the map that a last layer is tried on, in cells."""


def last_map(segmenter: Segmenter) -> str:
    """Return the name of the map that the last layer reads, `Segmenter.classified`.

    Raises:
        FeatureError: the last layer cannot be asked alone.
    """
    if not segmenter.classified:
        segmenter.classify(torch.empty(0))
    return segmenter.classified


def last_parameters(segmenter: Segmenter) -> list[nn.Parameter]:
    """Return the parameters that `Segmenter.classify` computes with, found by their gradients.

    Raises:
        FeatureError: the last layer cannot be asked alone.
    """
    width = segmenter.feature(last_map(segmenter)).channels
    able = [one for one in segmenter.parameters() if one.requires_grad]
    if not able:
        return []
    modes = [(module, module.training) for module in segmenter.modules()]
    segmenter.eval()
    with torch.inference_mode(False), torch.enable_grad():
        tried = torch.zeros(1, width, SIDE, SIDE, device=segmenter.device)
        slopes = torch.autograd.grad(segmenter.classify(tried).sum(), able, allow_unused=True)
    for module, mode in modes:
        module.training = mode
    return [one for one, slope in zip(able, slopes, strict=True) if slope is not None]
