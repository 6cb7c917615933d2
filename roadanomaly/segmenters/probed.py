"""What the adapters of foreign networks share: features that are found by trying the network."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from roadanomaly.segmenters.base import FeatureInfo, Segmenter
from roadanomaly.types import Masks

PROBE_SIDE = 128
"""Pixels, at least, of the black image that tells the features' shapes."""

Answered = tuple[Tensor | Masks, dict[str, Tensor]]


class ProbedSegmenter(Segmenter):
    """A foreign network; its features are those that it returns for a black image."""

    @abstractmethod
    def all_maps(self, image: Tensor) -> Answered:
        """Do what `maps` does, with every feature that there is."""

    def maps(self, image: Tensor, features: Collection[str]) -> Answered:
        """Compute logits, or the masks of a mask network, and the named features."""
        answer, found = self.all_maps(image)
        return answer, {name: found[name] for name in features}

    @torch.no_grad()
    def probe(self) -> dict[str, FeatureInfo]:
        """Segment a black image to learn the channels and strides of the features."""
        height, width = self.input_size or (self._probe_side, self._probe_side)
        training = self.training
        self.eval()
        try:
            _, found = self.all_maps(torch.zeros(1, 3, height, width))
        finally:
            self.train(training)
        return {
            name: FeatureInfo(one.shape[1], round(width / one.shape[-1]))
            for name, one in found.items()
        }

    @property
    def _probe_side(self) -> int:
        return -(-PROBE_SIDE // self.divisor) * self.divisor


def by_stride(image: Tensor, stages: Iterable[Tensor]) -> dict[str, Tensor]:
    """Name an encoder's stages `encoder2`, `encoder4`, ...: the deepest of each stride.

    Args:
        image: what went in, `(B, 3, H, W)`.
        stages: `(B, C, h, w)` from the first to the last.
    """
    found = {}
    for stage in stages:
        whole, part = image.shape[-1], stage.shape[-1]
        stride = (2 * whole + part) // (2 * part)  # rounded, in whole numbers for exporters
        if stride > 1 and stage.shape[1]:
            found[f"encoder{stride}"] = stage
    return found


@contextmanager
def input_of(layer: nn.Module) -> Iterator[list[Tensor]]:
    """Collect what `layer` is given while the block runs: the map that a classifier reads."""
    seen: list[Tensor] = []
    handle = layer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    try:
        yield seen
    finally:
        handle.remove()
