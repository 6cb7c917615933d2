"""Glow: normalisation, 1x1 mixing and coupling, over several scales."""

from __future__ import annotations

from typing import Any

from roadanomaly.flows.actnorm import ActNorm
from roadanomaly.flows.coupling import Coupling, MaskKind, mask
from roadanomaly.flows.invertible1x1 import Invertible1x1
from roadanomaly.flows.layer import Chain, Layer
from roadanomaly.flows.multiscale import (
    MultiScale,
    build_elementwise,
    check_counts,
    level_widths,
)
from roadanomaly.flows.networks import convolutions
from roadanomaly.flows.reshaping import Shift, Squeeze


class Glow(MultiScale):
    """Glow (Kingma and Dhariwal, NeurIPS 2018).

    Args:
        channels: of an image.
        levels: scales; both sides of an image must be multiples of `2^levels`.
        steps: of normalisation, mixing and coupling, a level.
        hidden: width of the couplings' networks.
        mixture: logistics in each coupling's mixture (Flow++); 0 for affine couplings.
        mask: what couplings read: `channel`, `checkerboard`, `horizontal` or `cycle`.
        bottleneck: channels in the middle of the couplings' networks; 0 for no bottleneck.
        dequantise: `"uniform"` or `"variational"`.
        save_memory: recompute activations in the backward pass instead of keeping them.

    Differs from the paper: log-scales are bounded by 2 tanh(raw / 2) instead of a sigmoid, the
    default is small (3 levels of 8 steps, width 64, against 3 of 32, width 512), and the last
    level's prior is the standard normal.
    """

    def __init__(
        self,
        channels: int = 3,
        levels: int = 3,
        steps: int = 8,
        hidden: int = 64,
        mixture: int = 0,
        mask: MaskKind = "channel",
        bottleneck: int = 0,
        dequantise: str = "uniform",
        save_memory: bool = False,
    ) -> None:
        self._options = {
            "channels": channels,
            "levels": levels,
            "steps": steps,
            "hidden": hidden,
            "mixture": mixture,
            "mask": mask,
            "bottleneck": bottleneck,
            "dequantise": dequantise,
            "save_memory": save_memory,
        }
        check_counts("glow", steps=steps, hidden=hidden)
        check_counts("glow", 0, bottleneck=bottleneck)
        chains = []
        for width in level_widths(channels, levels):
            layers: list[Layer] = [Squeeze()]
            for number in range(steps):
                layers += glow_step(width, number, mask, hidden, mixture, bottleneck)
            chains.append(Chain(layers, save_memory=save_memory))
        super().__init__(channels, Shift(), chains, dequantise)

    def options(self) -> dict[str, Any]:
        """Return the constructor options."""
        return dict(self._options)


def glow_step(
    width: int, number: int, kind: str, hidden: int, mixture: int, bottleneck: int, kernel: int = 3
) -> list[Layer]:
    """Return one step: normalisation, 1x1 mixing, coupling."""
    place = mask(kind, width, number)
    read, moved = (part.stop - part.start for part in (place.read, place.moved))
    elementwise = build_elementwise(mixture)
    network = convolutions(
        read, elementwise.count * moved, hidden, bottleneck=bottleneck, kernel=kernel
    )
    return [ActNorm(width), Invertible1x1(width), Coupling(place, network, elementwise)]
