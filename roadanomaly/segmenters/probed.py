"""What the adapters of foreign networks share: features that are found by trying the network."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

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

    def probe(self) -> dict[str, FeatureInfo]:
        """Segment a black image to learn the channels and strides of the features.

        Parameters that the answer does not depend on (heads that serve another library's training,
        tokens of a pretraining) are frozen here: no loss could reach them.
        """
        height, width = self.input_size or (self.probe_side, self.probe_side)
        training = self.training
        self.eval()
        try:
            with torch.enable_grad(), _without_memory():
                answer, found = self.all_maps(torch.zeros(1, 3, height, width))
        finally:
            self.train(training)
        freeze_unread(
            self, [answer] if isinstance(answer, Tensor) else [answer.classes, answer.masks]
        )
        return {
            name: FeatureInfo(one.shape[1], round(width / one.shape[-1]))
            for name, one in found.items()
        }

    @property
    def probe_side(self) -> int:
        """Pixels of the side of an image that the network is tried on."""
        return -(-PROBE_SIDE // self.divisor) * self.divisor


def _without_memory() -> saved_tensors_hooks:
    """Record what depends on what, and keep no tensor for a backward pass."""
    return saved_tensors_hooks(_forget, _forget)


def _forget(_: Any) -> Any:
    return None


def freeze_unread(network: nn.Module, outputs: Iterable[Tensor]) -> None:
    """Take gradients from the parameters that outputs, recorded with gradients, never read."""
    waiting: list[Any] = [one.grad_fn for one in outputs if one.grad_fn is not None]
    if not waiting:
        return
    seen = set(waiting)
    read = set()
    while waiting:
        node = waiting.pop()
        read.add(id(getattr(node, "variable", None)))
        following = {one for one, _ in node.next_functions if one is not None} - seen
        seen |= following
        waiting.extend(following)
    for parameter in network.parameters():
        if id(parameter) not in read:
            parameter.requires_grad_(False)


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


@contextmanager
def outputs_of(layers: Iterable[nn.Module]) -> Iterator[list[list[Tensor]]]:
    """Collect what each layer answers while the block runs, call by call; of a tuple the first."""
    with ExitStack() as hooks:
        seen = []
        for layer in layers:
            answers: list[Tensor] = []
            handle = layer.register_forward_hook(_keep_in(answers))
            hooks.callback(handle.remove)
            seen.append(answers)
        yield seen


def _keep_in(answers: list[Tensor]) -> Any:
    def keep(layer: nn.Module, inputs: Any, output: Any) -> None:
        answers.append(output[0] if isinstance(output, tuple) else output)

    return keep
