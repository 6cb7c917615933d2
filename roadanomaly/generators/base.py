"""What every generator is: a class map in, an image out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from roadanomaly.errors import OptionError
from roadanomaly.types import is_known


class Generator(nn.Module, ABC):
    """A network that draws an image from class labels.

    Args:
        classes: known classes, K.
        stride: both sides of a label map must be multiples of it.

    `names` are those of the classes that it learned to draw, empty where nobody said.
    """

    names: tuple[str, ...] = ()

    def __init__(self, classes: int, stride: int) -> None:
        super().__init__()
        if classes < 2:
            msg = f"a generator needs at least 2 `classes`, not {classes}."
            raise OptionError(msg)
        self.classes = classes
        self.stride = stride

    @abstractmethod
    def draw(self, layout: Tensor) -> Tensor:
        """Compute images of checked one-hot layouts.

        Args:
            layout: `(B, K + 1, h, w)` float; the last channel is void.

        Returns:
            `(B, 3, h, w)` float in -1..1.
        """

    @abstractmethod
    def options(self) -> dict[str, Any]:
        """Return the constructor options that rebuild this generator."""

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.parameters()).device

    def forward(self, labels: Tensor) -> Tensor:
        """Generate images.

        Args:
            labels: `(B, h, w)` integer, class index `0..K-1` or `IGNORE`; sides multiples of
                `stride`, at least twice that.

        Returns:
            `(B, 3, h, w)` float in 0..1, RGB.

        Raises:
            OptionError: a size that the stride does not divide, or a label out of range.
        """
        self.check_size(labels.shape[-2], labels.shape[-1])
        layout = one_hot(labels, self.classes).to(next(self.parameters()).dtype)
        return (self.draw(layout) + 1) / 2

    def synthesise(self, labels: Tensor, size: tuple[int, int] | None = None) -> Tensor:
        """Generate images of any label maps, resized by their nearest neighbours first.

        Args:
            labels: `(B, H, W)` integer as `forward` takes them, of any size.
            size: height and width to generate at; None: the labels' own. Rounded to the stride.

        Returns:
            `(B, 3, h, w)` float in 0..1 at the rounded size.
        """
        fitting = self.fitting(*(size or (labels.shape[-2], labels.shape[-1])))
        return self(resize_labels(labels, fitting))

    def fitting(self, height: int, width: int) -> tuple[int, int]:
        """Return the nearest size that the stride divides, at least two strides a side."""
        sides = [max(2, round(side / self.stride)) * self.stride for side in (height, width)]
        return sides[0], sides[1]

    def check_size(self, height: int, width: int) -> None:
        """Refuse a size that this generator cannot draw.

        Raises:
            OptionError: names the size and the nearest one that fits.
        """
        stride = self.stride
        if height % stride or width % stride or min(height, width) < 2 * stride:
            fit = self.fitting(height, width)
            msg = (
                f"this generator draws images whose sides are multiples of {stride}, at least "
                f"{2 * stride}, not {height}x{width}; the nearest is {fit[0]}x{fit[1]}."
            )
            raise OptionError(msg)


def one_hot(labels: Tensor, classes: int) -> Tensor:
    """Return labels as channels; what is of no known class is the last.

    Args:
        labels: `(B, H, W)` integer, class index, or any label that is no class.
        classes: known classes, K.

    Returns:
        `(B, K + 1, H, W)` float32 of 0 and 1.

    Raises:
        OptionError: a class index of K or more; asked on the processor alone, since a GPU would
            have to be waited for.
    """
    index = labels.long()
    known = is_known(index)
    if index.device.type == "cpu" and bool((known & (index >= classes)).any()):
        msg = (
            f"a label is {int(index[known].max())}, but the generator knows {classes} classes: "
            "its labels are 0 to one less, and 255 for void."
        )
        raise OptionError(msg)
    index = torch.where(known, index, classes)
    layout = torch.zeros(len(index), classes + 1, *index.shape[1:], device=index.device)
    return layout.scatter_(1, index[:, None], 1.0)


def resize_labels(labels: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize `(B, H, W)` labels by the nearest neighbour of each pixel's centre."""
    if tuple(labels.shape[-2:]) == tuple(size):
        return labels
    resized = functional.interpolate(labels[:, None].float(), size=size, mode="nearest-exact")
    return resized[:, 0].to(labels.dtype)
