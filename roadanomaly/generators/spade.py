"""SPADE: the labels modulate every normalisation, at every size."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from itertools import pairwise
from typing import Any, Literal

from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from roadanomaly.errors import OptionError
from roadanomaly.generators.base import Generator

SLOPE = 0.2
"""Of the leaky ReLU."""

Norm = Literal["batch", "instance"]


class Spade(Generator):
    """SPADE's generator (Park et al., CVPR 2019); the defaults are those published.

    Args:
        classes: known classes, K.
        width: channels of the last block; the first has `2^(ups - 1)` times that, at most 16.
        ups: doublings of the size; the stride is `2^ups`.
        middle: further blocks at the second-coarsest size.
        hidden: channels between the labels and a modulation.
        norm: `batch`, over all crops of a process, or `instance`, which no crop's neighbour
            changes.
        save_memory: recompute activations in the backward pass instead of keeping them.

    Raises:
        OptionError: a value out of range.

    Differs from the public code: no encoder of an appearance (as in its mode without a VAE); no
    spectral normalisation of the generator, whose power iterations a moving average of the
    weights could not take, and therefore PyTorch's own initial weights (the public ones, 0.02
    times Xavier's, start such a network at almost nothing); no exchange of statistics between
    processes.
    """

    def __init__(
        self,
        classes: int = 19,
        width: int = 64,
        ups: int = 5,
        middle: int = 2,
        hidden: int = 128,
        norm: Norm = "batch",
        save_memory: bool = False,
    ) -> None:
        if min(width, ups, hidden) < 1 or ups > 7 or middle < 0:
            msg = (
                "spade: `width`, `ups` and `hidden` are at least 1, `ups` at most 7, and `middle` "
                f"not negative; not {width}, {ups}, {hidden} and {middle}."
            )
            raise OptionError(msg)
        super().__init__(classes, 2**ups)
        self._options = {
            "classes": classes,
            "width": width,
            "ups": ups,
            "middle": middle,
            "hidden": hidden,
            "norm": norm,
            "save_memory": save_memory,
        }
        self.save_memory = save_memory
        labels, top = classes + 1, width * min(16, 2 ** (ups - 1))
        widths = [top, *(width * min(16, 2**level) for level in reversed(range(ups - 1)))]
        self.first = nn.Conv2d(labels, top, 3, padding=1)
        self.head = SpadeBlock(top, top, labels, hidden, norm)
        self.middle = nn.ModuleList(
            SpadeBlock(top, top, labels, hidden, norm) for _ in range(middle)
        )
        self.tail = nn.ModuleList(
            SpadeBlock(coarse, fine, labels, hidden, norm) for coarse, fine in pairwise(widths)
        )
        self.last = nn.Conv2d(widths[-1], 3, 3, padding=1)

    def draw(self, layout: Tensor) -> Tensor:
        """Compute images; see `Generator.draw`."""
        coarsest = (layout.shape[-2] // self.stride, layout.shape[-1] // self.stride)
        x = self._block(self.head, self.first(_nearest(layout, coarsest)), layout)
        x = _doubled(x)
        for block in self.middle:
            x = self._block(block, x, layout)
        for block in self.tail:
            x = self._block(block, _doubled(x), layout)
        return self.last(functional.leaky_relu(x, SLOPE)).tanh()

    def _block(self, block: nn.Module, x: Tensor, layout: Tensor) -> Tensor:
        if self.save_memory and self.training:
            twice: Any = partial(_first_and_second_pass, block)
            return checkpoint(block, x, layout, use_reentrant=False, context_fn=twice)
        return block(x, layout)

    def options(self) -> dict[str, Any]:
        """Return the constructor options."""
        return dict(self._options)


class Modulation(nn.Module):
    """Normalise, then scale and shift each pixel by what the labels around it say.

    Args:
        channels: of the features.
        labels: channels of the layout.
        hidden: channels between.
        norm: over what is normalised.
    """

    def __init__(self, channels: int, labels: int, hidden: int, norm: Norm) -> None:
        super().__init__()
        self.norm: nn.Module = (
            nn.BatchNorm2d(channels, affine=False)
            if norm == "batch"
            else nn.InstanceNorm2d(channels)
        )
        self.shared = nn.Conv2d(labels, hidden, 3, padding=1)
        self.scale_shift = nn.Conv2d(hidden, 2 * channels, 3, padding=1)

    def forward(self, x: Tensor, layout: Tensor) -> Tensor:
        """Modulate `(B, C, h, w)` by a layout of any size."""
        size = (x.shape[-2], x.shape[-1])
        hidden = functional.relu(self.shared(_nearest(layout, size)))
        scale, shift = self.scale_shift(hidden).chunk(2, 1)
        return self.norm(x) * (1 + scale) + shift


class SpadeBlock(nn.Module):
    """A residual block of two modulated convolutions; the shortcut learns where widths differ."""

    def __init__(self, coarse: int, fine: int, labels: int, hidden: int, norm: Norm) -> None:
        super().__init__()
        between = min(coarse, fine)
        self.modulate = nn.ModuleList(
            Modulation(channels, labels, hidden, norm) for channels in (coarse, between)
        )
        self.convolve = nn.ModuleList(
            [
                nn.Conv2d(coarse, between, 3, padding=1),
                nn.Conv2d(between, fine, 3, padding=1),
            ]
        )
        self.shortcut: nn.Module | None = None
        if coarse != fine:
            self.modulate.append(Modulation(coarse, labels, hidden, norm))
            self.shortcut = nn.Conv2d(coarse, fine, 1, bias=False)

    def forward(self, x: Tensor, layout: Tensor) -> Tensor:
        """Map `(B, coarse, h, w)` to `(B, fine, h, w)`."""
        kept = x if self.shortcut is None else self.shortcut(self.modulate[2](x, layout))
        for modulate, convolve in zip(self.modulate, self.convolve, strict=False):
            x = convolve(functional.leaky_relu(modulate(x, layout), SLOPE))
        return kept + x


Surrounding = AbstractContextManager[None]


def _first_and_second_pass(block: nn.Module) -> tuple[Surrounding, Surrounding]:
    """Return what surrounds a block's forward pass, and its repetition in the backward pass."""
    return nullcontext(), _statistics_kept(block)


@contextmanager
def _statistics_kept(block: nn.Module) -> Iterator[None]:
    """Let no batch normalisation count a batch that it has counted already."""
    norms = [
        module for module in block.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)
    ]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum


def _nearest(layout: Tensor, size: tuple[int, int]) -> Tensor:
    if tuple(layout.shape[-2:]) == size:
        return layout
    return functional.interpolate(layout, size=size, mode="nearest-exact")


def _doubled(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2, mode="nearest")
