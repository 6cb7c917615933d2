"""pix2pixHD's global generator: down, residual blocks, up."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from roadanomaly.errors import OptionError
from roadanomaly.generators.base import Generator


class Pix2PixHD(Generator):
    """The global generator of pix2pixHD (Wang et al., CVPR 2018); the defaults are published.

    Args:
        classes: known classes, K.
        width: channels of the first layer; each step down doubles them.
        downs: steps down, each halving the size; the stride is `2^downs`.
        blocks: residual blocks at the coarsest size.
        save_memory: recompute activations in the backward pass instead of keeping them.

    Raises:
        OptionError: a value out of range.

    Differs from the public code: labels alone go in, neither borders of instances nor encoded
    appearance, which predicted labels do not have (as in Image Resynthesis, which used it so); the
    local enhancer, which the authors add above 1024x512, is left out.
    """

    def __init__(
        self,
        classes: int = 19,
        width: int = 64,
        downs: int = 4,
        blocks: int = 9,
        save_memory: bool = False,
    ) -> None:
        if min(width, downs, blocks) < 1 or downs > 6:
            msg = (
                "pix2pixhd: `width`, `downs` and `blocks` are at least 1, and `downs` at most 6; "
                f"not {width}, {downs} and {blocks}."
            )
            raise OptionError(msg)
        super().__init__(classes, 2**downs)
        self._options = {
            "classes": classes,
            "width": width,
            "downs": downs,
            "blocks": blocks,
            "save_memory": save_memory,
        }
        self.save_memory = save_memory
        widths = [width * 2**level for level in range(downs + 1)]
        self.steps = nn.Sequential(
            _layer(nn.ReflectionPad2d(3), nn.Conv2d(classes + 1, width, 7), width),
            *(
                _layer(nn.Conv2d(fine, coarse, 3, stride=2, padding=1), coarse)
                for fine, coarse in pairwise(widths)
            ),
            *(ResidualBlock(widths[-1]) for _ in range(blocks)),
            *(
                _layer(nn.ConvTranspose2d(coarse, fine, 3, 2, padding=1, output_padding=1), fine)
                for coarse, fine in zip(widths[:0:-1], widths[-2::-1], strict=True)
            ),
        )
        self.last = nn.Sequential(nn.ReflectionPad2d(3), nn.Conv2d(width, 3, 7), nn.Tanh())
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
                nn.init.normal_(module.weight, std=0.02)

    def draw(self, layout: Tensor) -> Tensor:
        """Compute images; see `Generator.draw`."""
        for step in self.steps:
            if self.save_memory and self.training:
                layout = checkpoint(step, layout, use_reentrant=False)
            else:
                layout = step(layout)
        return self.last(layout)

    def options(self) -> dict[str, Any]:
        """Return the constructor options."""
        return dict(self._options)


class ResidualBlock(nn.Module):
    """Two convolutions with instance normalisation, added to what came in."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = _layer(nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3), channels)
        self.second = nn.Sequential(
            nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3), nn.InstanceNorm2d(channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map `(B, C, h, w)` to the same shape."""
        return x + self.second(self.first(x))


def _layer(*modules: nn.Module | int) -> nn.Sequential:
    """Return modules, followed by normalisation of as many channels as comes last, and ReLU."""
    *own, channels = modules
    assert isinstance(channels, int)
    parts = [one for one in own if isinstance(one, nn.Module)]
    return nn.Sequential(*parts, nn.InstanceNorm2d(channels), nn.ReLU())
