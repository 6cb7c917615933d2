"""The multi-scale pipeline of Real NVP and Glow: squeeze, transform, finish half, repeat."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from roadanomaly.errors import OptionError
from roadanomaly.flows.elementwise import Affine, Elementwise, LogisticMixture
from roadanomaly.flows.image_flow import ImageFlow
from roadanomaly.flows.layer import Chain, Layer
from roadanomaly.flows.reshaping import FactorOut


class MultiScale(ImageFlow):
    """Levels of layers; after each but the last, half of the channels become finished latents.

    Args:
        channels: of an image.
        before: what pixels go through first.
        levels: each halves the image's sides.
        dequantise: `"uniform"` or `"variational"`.
    """

    def __init__(
        self, channels: int, before: Layer, levels: Sequence[Chain], dequantise: str
    ) -> None:
        super().__init__(channels, 2 ** len(levels), dequantise)
        self.before = before
        self.levels = nn.ModuleList(levels)
        widths = level_widths(channels, len(levels))
        self.splits = nn.ModuleList(FactorOut(width) for width in widths[:-1])

    def encode_levels(self, x: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Map images to the latents of each level, the finest first."""
        x, before = self.before(x)
        latents, parts = [], []
        for number, level in enumerate(self.levels):
            x, part = level(x)
            if number < len(self.splits):
                x, finished, log_det = self.splits[number](x)
                part = part + log_det
                latents.append(finished)
            parts.append(part)
        return [*latents, x], [before + parts[0], *parts[1:]]

    def decode(self, latents: Sequence[Tensor]) -> Tensor:
        """Map latents, the finest first, to images."""
        *finished, x = latents
        for number in reversed(range(len(self.levels))):
            if number < len(self.splits):
                split = self.splits[number]
                assert isinstance(split, FactorOut)
                x = split.inverse(x, finished[number])
            level = self.levels[number]
            assert isinstance(level, Chain)
            x = level.inverse(x)
        return self.before.inverse(x)

    def latent_shapes(self, height: int, width: int) -> list[tuple[int, int, int]]:
        """Return `(C, H, W)` of each level's latents."""
        widths = level_widths(self.channels, len(self.levels))
        shapes = []
        for number, channels in enumerate(widths, start=1):
            last = number == len(widths)
            count = channels if last else channels // 2
            shapes.append((count, height >> number, width >> number))
        return shapes


def level_widths(channels: int, levels: int) -> list[int]:
    """Return the channels of each level, after its squeeze: `4 C`, `8 C`, `16 C`, ...

    Raises:
        OptionError: no channels or no levels.
    """
    if channels < 1 or levels < 1:
        msg = f"a flow needs at least 1 channel and 1 level, not {channels} and {levels}."
        raise OptionError(msg)
    return [channels * 2 ** (level + 2) for level in range(levels)]


def check_counts(flow: str, least: int = 1, **counts: int) -> None:
    """Refuse sizes of a flow's networks that are too small to hold anything.

    Args:
        flow: its name in configs.
        least: that each must reach.
        counts: by the option's name.

    Raises:
        OptionError: names the first that is smaller.
    """
    for name, value in counts.items():
        if value < least:
            msg = f"{flow}: `{name}` must be at least {least}, not {value}."
            raise OptionError(msg)


def build_elementwise(mixture: int) -> Elementwise:
    """Return a mixture of so many logistics, or with 0 the affine map.

    Raises:
        OptionError: a negative number.
    """
    if mixture < 0:
        msg = f"`mixture` must be 0, for affine couplings, or more, not {mixture}."
        raise OptionError(msg)
    return LogisticMixture(mixture) if mixture else Affine()
