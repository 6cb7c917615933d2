"""Statistics of a network's BatchNorm layers on one batch: how far off they are, and mixed in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn

Norm = nn.modules.batchnorm._BatchNorm

SMALLEST = 1e-8
"""Added to variances before they are divided by."""


def norms_of(network: nn.Module) -> list[Norm]:
    """Return the BatchNorm layers that keep statistics, in the order of the modules."""
    return [
        module
        for module in network.modules()
        if isinstance(module, Norm) and module.running_mean is not None
    ]


def is_watched(norm: nn.Module) -> bool:
    """Return whether somebody asks what enters a layer, which then may not be folded away."""
    return bool(norm._forward_pre_hooks)


@torch.no_grad()
def divergence(norms: Sequence[Norm], run: Callable[[], object]) -> Tensor:
    """Sum over layers and channels how far a batch is from what the layers have kept, in nats.

    Of each channel, the Kullback-Leibler divergence of the normal distribution with the batch's
    mean and variance from that with the kept ones. Layers that are not reached, or see a single
    value a channel, count for nothing.

    Args:
        norms: in inference mode.
        run: passes the batch through the network.

    Returns:
        a float32 scalar, where the layers are.
    """
    sums: list[Tensor] = []

    def measure(norm: Norm, entering: Tensor) -> None:
        mean, variance = _moments(entering)
        kept_mean, kept = _kept(norm)
        off = (variance + (mean - kept_mean).square()) / (kept + SMALLEST) - 1
        logs = (kept + SMALLEST).log() - (variance + SMALLEST).log()
        sums.append(0.5 * (logs + off).sum())

    with _watched(norms, measure):
        run()
    return torch.stack(sums).sum() if sums else torch.zeros(())


@contextmanager
def mixing(norms: Sequence[Norm], share: Tensor) -> Iterator[None]:
    """Let every layer move its statistics towards the batch's before it normalises with them.

    Layer after layer, so that each sees what those before it have made of the batch. What they
    come to stays afterwards: put `kept` around it.

    Args:
        norms: in inference mode.
        share: of the batch's statistics in what each layer takes, a scalar in 0..1.
    """

    def mix(norm: Norm, entering: Tensor) -> None:
        for kept, found in zip(_kept(norm), _moments(entering), strict=True):
            kept.lerp_(found.to(kept.dtype), share.to(kept.dtype))

    with _watched(norms, mix):
        yield


@contextmanager
def kept(norms: Sequence[Norm]) -> Iterator[None]:
    """Give the layers back exactly the statistics that they had, whatever happens inside."""
    before = [[one.clone() for one in _kept(norm)] for norm in norms]
    try:
        yield
    finally:
        with torch.no_grad():
            for norm, saved in zip(norms, before, strict=True):
                for one, was in zip(_kept(norm), saved, strict=True):
                    one.copy_(was)


@contextmanager
def _watched(norms: Sequence[Norm], see: Callable[[Norm, Tensor], None]) -> Iterator[None]:
    """Show what enters each layer, before it is normalised, where a channel has several values."""

    def hook(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        (entering,) = inputs
        if entering.numel() >= 2 * entering.shape[1]:
            assert isinstance(norm, Norm)
            see(norm, entering.detach())

    with ExitStack() as stack:
        for norm in norms:
            stack.callback(norm.register_forward_pre_hook(hook).remove)
        yield


def _moments(entering: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and variance of each channel."""
    rows = entering.float().transpose(0, 1).flatten(1)
    return rows.mean(1), rows.var(1, correction=0)


def _kept(norm: Norm) -> tuple[Tensor, Tensor]:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    return norm.running_mean, norm.running_var
