"""MAE: patches that a transformer paints from a quarter of the image."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from roadanomaly.detectors.losses import masked_mean
from roadanomaly.detectors.position import position_code
from roadanomaly.detectors.reconstruction.image_detector import ImageDetector
from roadanomaly.detectors.reconstruction.similarity import dissimilarity, squared_error
from roadanomaly.errors import OptionError
from roadanomaly.refiners.smoothing import check_window, window_mean
from roadanomaly.types import Batch, Segmentation

PRIME = 9973
PACE = 10.0
"""How much faster than weights the slopes of the distance learn."""


class MAE(ImageDetector):
    """`mean_c (x - y)^2 + (1 - SSIM(x, y)) / 2` of the image and what masked patches become.

    The image is cut into patches, which fall into `parts` equal parts at random. An encoder sees
    the patches of one part alone; a decoder paints all others from it. With each part seen in turn,
    every patch is painted `parts - 1` times, and their mean is the reconstruction.

    Args:
        patch: side of a patch in pixels.
        parts: of the image, of which one is seen; 4 hides three quarters, as published.
        width: channels of the encoder, a multiple of 4 and of `heads`.
        depth: blocks of the encoder.
        decoder_depth: blocks of the decoder.
        heads: of the attention.
        smooth: side of the window, in pixels, odd, over which the score is averaged.

    Raises:
        OptionError: a value out of range.

    Source: He et al., 2022, Masked Autoencoders Are Scalable Vision Learners, section 3; the
    reconstruction as a score as in Schwartz et al., 2024, MAEDAY. Differs: small, trained on the
    road images alone, so attention falls off with the distance of two patches (as in Press et al.,
    2022, ALiBi, here squared, in two dimensions and with slopes that are learned), which
    transformers otherwise find out from much more data; pixels as they are and not normalised patch
    by patch; which patches fall into which part is the same in every image at inference.
    """

    paper = "He et al., Masked Autoencoders Are Scalable Vision Learners, CVPR 2022"

    def __init__(
        self,
        patch: int = 16,
        parts: int = 4,
        width: int = 128,
        depth: int = 4,
        decoder_depth: int = 2,
        heads: int = 4,
        smooth: int = 17,
    ) -> None:
        super().__init__()
        check_window("mae", "smooth", smooth)
        if min(patch, depth, decoder_depth, heads) < 1 or parts < 2:
            msg = (
                "mae: `patch`, `depth`, `decoder_depth` and `heads` must be at least 1 and `parts` "
                f"at least 2, not {patch}, {depth}, {decoder_depth}, {heads} and {parts}."
            )
            raise OptionError(msg)
        if width < 4 or width % 4 or width % heads:
            msg = f"mae: `width` must be a multiple of 4 and of `heads`, not {width} with {heads}."
            raise OptionError(msg)
        self.patch, self.parts, self.width, self.heads = patch, parts, width, heads
        self.depth, self.decoder_depth, self.smooth = depth, decoder_depth, smooth
        self.stride = patch
        self.embed = nn.Conv2d(3, width, patch, stride=patch)
        self.encoder = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.encoded = nn.LayerNorm(width)
        self.hidden = nn.Parameter(torch.zeros(width))
        self.decoder = nn.ModuleList(Block(width, heads) for _ in range(decoder_depth))
        self.paint = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 3 * patch**2))
        nn.init.normal_(self.hidden, std=0.02)

    def options(self) -> dict[str, Any]:
        """Return the constructor options."""
        return {
            "patch": self.patch,
            "parts": self.parts,
            "width": self.width,
            "depth": self.depth,
            "decoder_depth": self.decoder_depth,
            "heads": self.heads,
            "smooth": self.smooth,
        }

    def painted(self, image: Tensor, seed: int, part: int) -> tuple[Tensor, Tensor]:
        """Paint an image from one of its parts.

        Args:
            image: `(B, 3, H, W)` in 0..1, sides multiples of `patch`.
            seed: a whole number that decides which patches fall into which part.
            part: the one that is seen.

        Returns:
            the painted image, `(B, 3, H, W)` in 0..1, and 1 at pixels that were seen, `(H, W)`.
        """
        cells = self.embed(image - 0.5)
        height, width = cells.shape[-2:]
        place = position_code(cells, self.width).flatten(2).transpose(1, 2).to(cells.dtype)
        tokens = cells.flatten(2).transpose(1, 2) + place
        order = mixed_order(height * width, seed, cells.device)
        count = -(-height * width // self.parts)
        shown = order[part * count : (part + 1) * count]
        places = places_of(cells)
        seen = tokens[:, shown]
        for block in self.encoder:
            seen = block(seen, places[shown])
        seen = self.encoded(seen)
        whole = (self.hidden + place).expand(len(image), -1, -1).to(seen.dtype)
        whole = whole.index_copy(1, shown, seen + place[:, shown])
        for block in self.decoder:
            whole = block(whole, places)
        pixels = self.paint(whole).transpose(1, 2).unflatten(2, (height, width))
        known = torch.zeros_like(place[0, :, 0]).index_fill(0, shown, 1.0)
        known = known.view(height, 1, width, 1).expand(-1, self.patch, -1, self.patch)
        return functional.pixel_shuffle(pixels, self.patch).sigmoid(), known.flatten(2).flatten(
            0, 1
        )

    def judge(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean of what each patch was painted as, and its differences."""
        total = torch.zeros_like(image, dtype=torch.float32)
        times = torch.zeros_like(image[0, 0], dtype=torch.float32)
        for part in range(self.parts):
            found, known = self.painted(image, 0, part)
            total, times = total + found.float() * (1 - known), times + (1 - known)
        whole = total / times
        error = squared_error(image, whole) + dissimilarity(image, whole)
        return whole, window_mean(error, self.smooth)

    def loss(self, segmentation: Segmentation, batch: Batch) -> dict[str, Tensor]:
        """Return the squared error at hidden inlier pixels, one part seen."""
        del segmentation
        self.ready = True
        image, inlier = self.inliers(batch)
        found, known = self.painted(image, int(torch.randint(PRIME, ())), 0)
        return {"hidden": masked_mean(squared_error(image, found), inlier * (1 - known))}


class Block(nn.Module):
    """Attention and a network of two layers, each added to what came in (Dosovitskiy et al., 2021).

    From what a query and a key agree on, `a dy^2 + b dx^2` is taken, the distance of their patches
    with slopes that each head learns, so that attention starts near its place.

    Args:
        width: channels.
        heads: of the attention.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mix, self.join = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.slopes = nn.Parameter(torch.zeros(heads, 1, 2))
        self.think = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, tokens: Tensor, places: Tensor) -> Tensor:
        """Map tokens to as many.

        Args:
            tokens: `(B, N, width)`.
            places: row and column of each one's patch, `(N, 2)`.

        Returns:
            `(B, N, width)`.
        """
        parts = self.mix(self.before(tokens)).unflatten(2, (3, self.heads, -1))
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        slopes, scale = functional.softplus(PACE * self.slopes), query.shape[-1] ** -0.5
        far = (slopes * places.square()).sum(2, keepdim=True)
        query = _joined(scale * query, [2 * slopes * places, -torch.ones_like(far)])
        key = _joined(key, [places.expand(self.heads, -1, -1), far])
        with torch.autocast(tokens.device.type, enabled=False):  # distances need all digits
            seen = functional.scaled_dot_product_attention(query, key, value.float(), scale=1.0)
        tokens = tokens + self.join(seen.transpose(1, 2).flatten(2))
        return tokens + self.think(self.between(tokens))


def _joined(tokens: Tensor, more: list[Tensor]) -> Tensor:
    """Append `(heads, N, c)` to each of `(B, heads, N, C)`, in float32."""
    grown = torch.cat(more, 2).expand(len(tokens), -1, -1, -1)
    return torch.cat([tokens.float(), grown], 3)


def places_of(cells: Tensor) -> Tensor:
    """Return row and column of each cell of `(B, C, h, w)`, from the middle, `(h w, 2)` float32."""
    height, width = cells.shape[-2:]
    rows = torch.arange(height, device=cells.device).repeat_interleave(width)
    columns = torch.arange(width, device=cells.device).repeat(height)
    return torch.stack([rows - height // 2, columns - width // 2], 1).float()


def mixed_order(count: int, seed: int, device: torch.device) -> Tensor:
    """Return the numbers below `count`, mixed, `(count,)` int64.

    Whole numbers are mixed in place of a draw, so that every device and runtime says the same.

    Args:
        count: of numbers.
        seed: a whole number below 10,000.
        device: where the result is.
    """
    number = torch.arange(count, device=device)
    mixed = (number % PRIME * 6971 + seed * 131 + 17) % PRIME
    mixed = (mixed * mixed + number // PRIME + 29) % PRIME
    mixed = (mixed * mixed + mixed * 31) % PRIME
    return (mixed * count + number).argsort()
