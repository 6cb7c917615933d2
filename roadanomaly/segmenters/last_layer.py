"""The last layer of a network: the map that it reads, and the parameters that it has."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from roadanomaly.segmenters.base import Segmenter

SIDE = 8
"""Of the map that a last layer is tried on, in cells."""


class LastLayer(nn.Module):
    """The last layer as a module, so that it can be asked with other parameters.

    Args:
        segmenter: whose `classify` it is.
    """

    def __init__(self, segmenter: Segmenter) -> None:
        super().__init__()
        self.segmenter = segmenter

    def forward(self, feature: Tensor) -> Tensor:
        """Return the logits `(B, K, h, w)` of a map `(B, C, h, w)`."""
        return self.segmenter.classify(feature)


def last_map(segmenter: Segmenter) -> str:
    """Return the name of the map that the last layer reads, `Segmenter.classified`.

    Raises:
        FeatureError: the last layer cannot be asked alone.
    """
    if not segmenter.classified:
        segmenter.classify(torch.empty(0))
    return segmenter.classified


def last_names(segmenter: Segmenter) -> list[str]:
    """Return what `LastLayer` calls the parameters that `Segmenter.classify` computes with.

    They are found by gradients of stand-ins, so frozen ones are among them, and nothing changes.

    Raises:
        FeatureError: the last layer cannot be asked alone.
    """
    width = segmenter.feature(last_map(segmenter)).channels
    modes = [(module, module.training) for module in segmenter.modules()]
    segmenter.eval()
    try:
        return _reached(LastLayer(segmenter), width)
    finally:
        for module, mode in modes:
            module.training = mode


def last_parameters(segmenter: Segmenter) -> list[nn.Parameter]:
    """Return these parameters themselves, whether they are frozen or not.

    Raises:
        FeatureError: the last layer cannot be asked alone.
    """
    layer = LastLayer(segmenter)
    return [layer.get_parameter(name) for name in last_names(segmenter)]


def _reached(layer: LastLayer, width: int) -> list[str]:
    """Return the parameters that the answer for a map of some width has gradients of."""
    with torch.inference_mode(False), torch.enable_grad():
        able = {name: _stand_in(one) for name, one in layer.named_parameters() if _can_learn(one)}
        tried = torch.zeros(1, width, SIDE, SIDE, device=layer.segmenter.device)
        total = torch.func.functional_call(layer, able, (tried,)).sum()
        if not total.requires_grad:
            return []
        slopes = torch.autograd.grad(total, list(able.values()), allow_unused=True)
    return [name for name, slope in zip(able, slopes, strict=True) if slope is not None]


def _can_learn(parameter: Tensor) -> bool:
    return parameter.is_floating_point() or parameter.is_complex()


def _stand_in(parameter: Tensor) -> Tensor:
    """Return the same values with gradients of their own; copied where they can have none."""
    own = parameter.detach()
    return (own.clone() if own.is_inference() else own).requires_grad_()
