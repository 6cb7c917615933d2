"""Images grown to a size that a network wants, as segmenters grow them."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def grown_to(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Grow an image at the bottom and on the right by its edge pixels.

    Args:
        image: `(B, C, H, W)`.
        size: height and width, at least those of the image.
    """
    bottom, right = (to - now for to, now in zip(size, image.shape[-2:], strict=True))
    if not (bottom or right):
        return image
    return functional.pad(image, (0, right, 0, bottom), mode="replicate")


def grown_to_multiple(image: Tensor, stride: int) -> Tensor:
    """Grow an image in the same way until a stride divides its sides."""
    height, width = image.shape[-2:]
    return grown_to(image, (height + -height % stride, width + -width % stride))
