"""Blur, noise and JPEG on tensors, with gradients: what a camera does to what a step has mixed."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from roadanomaly.data.colour import GREY, NOISE_TABLE

BLOCK = 8
"""Pixels a side of a JPEG block."""

LUMA = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
"""Quantisation of luma at quality 50, rows of vertical frequencies: ITU-T T.81, table K.1."""

CHROMA = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    *((99,) * 8,) * 4,
)
"""Quantisation of chroma at quality 50: ITU-T T.81, table K.2."""


def whole(values: Tensor) -> Tensor:
    """Round to whole numbers; gradients pass as if nothing was rounded (straight through)."""
    return values + (values.round() - values).detach()


def grey_levels(image: Tensor) -> Tensor:
    """Bring an image in 0..1 to whole grey levels, straight through; beyond 0..1 it is cut off."""
    return whole(255 * image).clamp(0, 255) / 255


def blur(image: Tensor, sigma: float) -> Tensor:
    """Blur by a Gaussian that is as wide as OpenCV's for 8-bit images, edges mirrored.

    Args:
        image: `(3, H, W)` float.
        sigma: standard deviation in pixels; the Gaussian is cut off at about 3 of them, or where
            the image is no wider.
    """
    for dimension in (1, 2):
        image = _smoothed(image, sigma, dimension)
    return image


def _smoothed(image: Tensor, sigma: float, dimension: int) -> Tensor:
    length = image.shape[dimension]
    reach = min((round(6 * sigma + 1) | 1) // 2, length - 1)
    weights = [math.exp(-(step**2) / (2 * sigma**2)) for step in range(reach + 1)]
    total = weights[0] + 2 * sum(weights[1:])
    border = (0, 0, reach, reach) if dimension == 1 else (reach, reach)
    grown = functional.pad(image, border, mode="reflect")
    result = grown.narrow(dimension, reach, length) * (weights[0] / total)
    for step, weight in enumerate(weights[1:], start=1):
        pair = (grown.narrow(dimension, reach + side, length) for side in (-step, step))
        result = result + sum(pair) * (weight / total)
    return result


def add_noise(image: Tensor, sigma: float, rng: np.random.Generator) -> Tensor:
    """Add the noise that `colour.add_noise` adds with the same generator, before it is rounded.

    Args:
        image: `(3, H, W)` float in 0..1.
        sigma: standard deviation in grey levels.
        rng: draws one of 256 equally likely values a pixel and channel.
    """
    channels, height, width = image.shape
    draws = np.frombuffer(rng.bytes(image.numel()), np.uint8).reshape(height, width, channels)
    picked = torch.from_numpy(draws.transpose(2, 0, 1).copy()).to(image.device, non_blocking=True)
    table = torch.from_numpy(NOISE_TABLE * (sigma / 255)).to(image, non_blocking=True)
    return image + table[picked.int()]


def recompress(image: Tensor, quality: int) -> Tensor:
    """Return an image as it is after JPEG, as libjpeg and OpenCV write and read it.

    YCbCr (BT.601, full range); chroma is halved both ways by the mean of four pixels and brought
    back bilinearly (4:2:0); blocks of 8x8, DCT, quantisation by the standard's tables scaled as
    libjpeg scales them; edges are repeated to whole blocks. Wherever the format holds whole numbers
    they are rounded straight through, so the slope is that of colour and chroma handling alone;
    values beyond the range are cut off, and have none. The lossless part, run lengths and Huffman
    codes, changes nothing and is left out.

    Args:
        image: `(3, H, W)` float in 0..1, of any size.
        quality: 1 to 100.

    Returns:
        `(3, H, W)` float in 0..1, whole grey levels.
    """
    height, width = image.shape[1:]
    border = (0, -width % (2 * BLOCK), 0, -height % (2 * BLOCK))
    grown = functional.pad(255 * image[None], border, mode="replicate")[0]
    planes = whole(torch.tensordot(_colours().to(image, non_blocking=True), grown, 1))
    luma, chroma = planes[:1] - 128, planes[1:]
    luma = _coded(luma, _table(LUMA, quality).to(image, non_blocking=True))
    halved = whole(
        functional.avg_pool2d(chroma, 2) - _ties(chroma.shape[2] // 2).to(image, non_blocking=True)
    )
    halved = _coded(halved, _table(CHROMA, quality).to(image, non_blocking=True))
    chroma = functional.interpolate(halved[None], scale_factor=2, mode="bilinear")[0]
    chroma = whole(chroma + _ties(chroma.shape[2]).to(image, non_blocking=True))
    planes = torch.cat([luma + 128, chroma])
    shown = torch.tensordot(torch.linalg.inv(_colours()).to(image, non_blocking=True), planes, 1)
    return (whole(shown).clamp(0, 255) / 255)[:, :height, :width]


def _coded(plane: Tensor, table: Tensor) -> Tensor:
    """Quantise the DCT of each block of `(C, H, W)` about 0; both sides multiples of 8."""
    channels, height, width = plane.shape
    blocks = plane.reshape(channels, height // BLOCK, BLOCK, width // BLOCK, BLOCK).transpose(2, 3)
    basis = _basis().to(plane, non_blocking=True)
    found = whole(basis @ blocks @ basis.T / table) * table
    again = (basis.T @ found @ basis).transpose(2, 3).reshape(channels, height, width)
    return whole(again).clamp(-128, 127)


def _ties(width: int) -> Tensor:
    """Return what decides a half: libjpeg rounds it one way in even columns, the other in odd ones.

    It is smaller than half of the sixteenths in which chroma is counted.
    """
    return torch.tensor([1 / 64, -1 / 64]).repeat(width // 2 + 1)[:width]


def _table(base: tuple[tuple[int, ...], ...], quality: int) -> Tensor:
    """Scale a table of quality 50 as libjpeg does; `(8, 8)`, 1..255."""
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    return ((torch.tensor(base) * scale + 50) // 100).clamp(1, 255)


def _basis() -> Tensor:
    """Return the orthonormal DCT-II, `(8, 8)`: a row a frequency."""
    place = torch.arange(BLOCK, dtype=torch.float64)
    basis = torch.cos(torch.pi / BLOCK * (place + 0.5) * place[:, None])
    basis[0] /= math.sqrt(2)
    return basis * math.sqrt(2 / BLOCK)


def _colours() -> Tensor:
    """Return the matrix from RGB to Y, Cb, Cr about 0."""
    red, green, blue = GREY
    rows = [
        [red, green, blue],
        [-red / (1 - blue) / 2, -green / (1 - blue) / 2, 0.5],
        [0.5, -green / (1 - red) / 2, -blue / (1 - red) / 2],
    ]
    return torch.tensor(rows, dtype=torch.float64)
