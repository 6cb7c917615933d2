"""Real NVP: couplings over a checkerboard, then over channels, at several scales."""

from __future__ import annotations

from typing import Any

from roadanomaly.flows.actnorm import ActNorm
from roadanomaly.flows.coupling import Coupling, MaskKind, mask
from roadanomaly.flows.layer import Chain, Layer
from roadanomaly.flows.multiscale import (
    MultiScale,
    build_elementwise,
    check_counts,
    level_widths,
)
from roadanomaly.flows.networks import convolutions
from roadanomaly.flows.reshaping import Logit, Squeeze


class RealNVP(MultiScale):
    """Real NVP (Dinh et al., ICLR 2017).

    Args:
        channels: of an image.
        levels: scales; both sides of an image must be multiples of `2^levels`.
        steps: couplings before and after each squeeze.
        hidden: width of the couplings' networks.
        mixture: logistics in each coupling's mixture (Flow++); 0 for affine couplings.
        mask: of the couplings after a squeeze: `channel` as published, or `checkerboard`,
            `horizontal`, `cycle`.
        bottleneck: channels in the middle of the couplings' networks; 0 for no bottleneck.
        dequantise: `"uniform"` or `"variational"`.
        save_memory: recompute activations in the backward pass instead of keeping them.

    Pixels become logits first, so samples leave 0..1 by at most 0.06. Differs from the paper:
    ActNorm instead of batch normalisation, so that the density of an image does not depend on its
    batch; three convolutions instead of residual networks; a learned prior of the finished half;
    the last level ends with channel couplings too.
    """

    def __init__(
        self,
        channels: int = 3,
        levels: int = 3,
        steps: int = 4,
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
        check_counts("realnvp", steps=steps, hidden=hidden)
        check_counts("realnvp", 0, bottleneck=bottleneck)
        chains = []
        for wide in level_widths(channels, levels):
            layers: list[Layer] = []
            for width, kind in ((wide // 4, "checkerboard"), (wide, mask)):
                layers += [Squeeze()] if width == wide else []
                for number in range(steps):
                    layers += _step(width, number, kind, hidden, mixture, bottleneck)
            chains.append(Chain(layers, save_memory=save_memory))
        super().__init__(channels, Logit(), chains, dequantise)

    def options(self) -> dict[str, Any]:
        """Return the constructor options."""
        return dict(self._options)


def _step(
    width: int, number: int, kind: str, hidden: int, mixture: int, bottleneck: int
) -> list[Layer]:
    place = mask(kind, width, number)
    read, moved = (part.stop - part.start for part in (place.read, place.moved))
    elementwise = build_elementwise(mixture)
    network = convolutions(read, elementwise.count * moved, hidden, bottleneck=bottleneck)
    return [ActNorm(width), Coupling(place, network, elementwise)]
