"""DenseFlow: units of Glow-like modules, densely coupled through noise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from roadanomaly.errors import OptionError
from roadanomaly.flows.actnorm import ActNorm
from roadanomaly.flows.coupling import Coupling, mask
from roadanomaly.flows.cross_unit import DenseBlock
from roadanomaly.flows.dense_network import DenseNetwork
from roadanomaly.flows.elementwise import Affine
from roadanomaly.flows.image_flow import ImageFlow
from roadanomaly.flows.invertible1x1 import Invertible1x1
from roadanomaly.flows.layer import Chain, Layer
from roadanomaly.flows.multiscale import check_counts
from roadanomaly.flows.reshaping import Shift, Squeeze


class DenseFlow(ImageFlow):
    """DenseFlow (Grcic, Grubisic, Segvic, NeurIPS 2021); the defaults are DenseFlow-25-6.

    Its density is a lower bound with one draw of noise: `log_det` holds what the noise adds and
    costs, and differs from call to call.

    Args:
        channels: of an image.
        units: of each block; both sides of an image must be multiples of `2^blocks`.
        modules: of normalisation, mixing and coupling in each unit of a block.
        growth: noise channels between the units of a block.
        width: of the couplings' networks.
        depth: dense layers in each of these networks.
        network_growth: channels that each of those layers adds.
        dequantise: `"uniform"` or `"variational"`.
        save_memory: recompute activations in the backward pass instead of keeping them.

    Differs from the public code: sampling is differentiable; the latents that a transition
    finishes are kept, so that an image is its own inverse's image; see also `DenseNetwork` and
    `VariationalDequantiser`, which is smaller.
    """

    def __init__(
        self,
        channels: int = 3,
        units: Sequence[int] = (3, 2, 1),
        modules: Sequence[int] = (3, 4, 8),
        growth: int = 6,
        width: int = 32,
        depth: int = 7,
        network_growth: int = 64,
        dequantise: str = "variational",
        save_memory: bool = True,
    ) -> None:
        if len(units) != len(modules) or not units or min(*units, *modules, growth) < 1:
            msg = (
                "denseflow: `units` and `modules` are lists of one length, of numbers of at least "
                f"1, and `growth` is at least 1; not {list(units)}, {list(modules)} and {growth}."
            )
            raise OptionError(msg)
        check_counts("denseflow", depth=depth, network_growth=network_growth)
        check_counts("denseflow", 2, width=width)
        super().__init__(channels, 2 ** len(units), dequantise)
        self._options = {
            "channels": channels,
            "units": list(units),
            "modules": list(modules),
            "growth": growth,
            "width": width,
            "depth": depth,
            "network_growth": network_growth,
            "dequantise": dequantise,
            "save_memory": save_memory,
        }
        self.growth = growth
        self.shift, self.squeeze = Shift(), Squeeze()
        self.blocks = nn.ModuleList()
        wide = 4 * channels
        for number, (unit_count, module_count) in enumerate(zip(units, modules, strict=True)):
            if number:
                wide *= 2
            chains = [
                Chain(
                    _modules(wide + unit * growth, module_count, width, depth, network_growth),
                    save_memory=save_memory,
                )
                for unit in range(unit_count)
            ]
            self.blocks.append(DenseBlock(chains, wide, growth))
            wide += (unit_count - 1) * growth

    def options(self) -> dict[str, Any]:
        """Return the constructor options."""
        return dict(self._options)

    def encode_levels(
        self, x: Tensor, noise: Sequence[Sequence[Tensor]] | None = None
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Map images to the latents of each block, the finest first.

        Args:
            x: `(B, C, H, W)`.
            noise: of each block, between its units; None draws it.
        """
        noise = self.draw_noise(x) if noise is None else noise
        x, _ = self.squeeze(self.shift(x)[0])
        latents, parts = [], []
        for number, (block, ones) in enumerate(zip(self.blocks, noise, strict=True)):
            if number:
                x, _ = self.squeeze(x)
                x, finished = x.chunk(2, 1)
                latents.append(finished)
            x, gain = block(x, ones)
            parts.append(gain)
        return [*latents, x], parts

    def decode(self, latents: Sequence[Tensor]) -> Tensor:
        """Map latents, the finest first, to images."""
        *finished, x = latents
        for number, block in reversed(list(enumerate(self.blocks))):
            assert isinstance(block, DenseBlock)
            x = block.inverse(x)
            if number:
                x = self.squeeze.inverse(torch.cat([x, finished[number - 1]], 1))
        return self.shift.inverse(self.squeeze.inverse(x))

    def draw_noise(self, x: Tensor) -> list[list[Tensor]]:
        """Draw what the blocks append to images of the size of `x`."""
        count, _, height, width = x.shape
        return [
            [
                x.new_empty(count, self.growth, height >> level, width >> level).normal_()
                for _ in block.links
            ]
            for level, block in enumerate(self._blocks(), start=1)
        ]

    def latent_shapes(self, height: int, width: int) -> list[tuple[int, int, int]]:
        """Return `(C, H, W)` of each block's latents."""
        shapes = []
        blocks = self._blocks()
        for level, block in enumerate(blocks[1:], start=2):
            shapes.append((block.channels, height >> level, width >> level))
        last = blocks[-1].channels + (len(blocks[-1].units) - 1) * self.growth
        return [*shapes, (last, height >> len(blocks), width >> len(blocks))]

    def _blocks(self) -> list[DenseBlock]:
        return [block for block in self.blocks if isinstance(block, DenseBlock)]


def _modules(channels: int, count: int, width: int, depth: int, growth: int) -> list[Layer]:
    """Return so many times normalisation, mixing and coupling; the halves take turns."""
    layers: list[Layer] = []
    for number in range(count):
        place = mask("channel", channels, number)
        read, moved = (part.stop - part.start for part in (place.read, place.moved))
        elementwise = Affine()
        network = DenseNetwork(read, elementwise.count * moved, width, depth, growth)
        layers += [
            ActNorm(channels),
            Invertible1x1(channels),
            Coupling(place, network, elementwise),
        ]
    return layers
