"""What densities of pixels share: an image is judged square by square, in bits per dimension."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from roadanomaly.detectors.base import Ask, Detector
from roadanomaly.detectors.drawn_sample import drawn_sample
from roadanomaly.detectors.losses import masked_mean
from roadanomaly.detectors.padding import grown_to_multiple
from roadanomaly.detectors.pixels.cells import Cells, in_pieces
from roadanomaly.detectors.pixels.coder import coder_bits
from roadanomaly.types import Batch, Segmentation


class CellDensity(Detector):
    """Learns what squares of inlier images cost; no segmenter is run.

    Args:
        name: in the catalogue.
        cells: the squares.
        complexity: subtract the bits that a lossless coder takes for the square (Serra et al.,
            2020, Input Complexity and Out-of-Distribution Detection, equation 3), so that what is
            smooth is not likely for that alone. The coder is PNG at its highest compression,
            without what a square of one colour takes; it runs on the CPU and in no exported graph.

    Class facts:
        stride: what the sides of a sample are multiples of.
        pieces: whether a CPU judges squares a few at a time, which is faster for networks of wide
            convolutions.
    """

    kind = "train"
    accepts = ("logits", "evidence")
    reads_segmentation = False
    stride: int = 1
    pieces: bool = False

    def __init__(self, name: str, cells: Cells, complexity: bool) -> None:
        super().__init__()
        cells.check(name)
        self.cells, self.complexity = cells, complexity
        asks: tuple[Ask, ...] = ("coder",) if complexity else ()
        self.asks = asks  # type: ignore[misc]

    def shared_options(self) -> dict[str, Any]:
        """Return the options of squares and coder."""
        return {
            "cell": self.cells.side,
            "overlap": self.cells.overlap,
            "complexity": self.complexity,
        }

    @abstractmethod
    def bits(self, squares: Tensor) -> Tensor:
        """Return what squares cost, without chance.

        Args:
            squares: `(N, 3, side, side)` float in 0..1.

        Returns:
            `(N,)` float32, bits per dimension.
        """

    @abstractmethod
    def sample(self, height: int, width: int, chance: torch.Generator) -> Tensor:
        """Draw a picture, `(1, 3, h, w)` float in 0..1, of about that size or smaller.

        Args:
            height: in pixels, a multiple of `stride`.
            width: likewise.
            chance: a generator on the CPU.
        """

    @abstractmethod
    def cost(self, squares: Tensor) -> Tensor:
        """Return what each square adds to the loss, `(N,)`; may draw."""

    def judge(self, squares: Tensor) -> Tensor:
        """Return the score of squares, `(N,)`: their bits, less the coder's where asked."""
        found = self.bits(squares)
        return found - coder_bits(squares) if self.complexity else found

    def score(self, segmentation: Segmentation, image: Tensor) -> Tensor:
        """Return the mean score of the squares that each pixel lies in, `(B, H, W)`."""
        del segmentation
        self.require()
        return self.over_image(image, self.judge)

    def over_image(self, image: Tensor, judge: Callable[[Tensor], Tensor]) -> Tensor:
        """Return the mean at each pixel of what `judge` says of squares, `(B, H, W)` float32."""
        height, width = image.shape[-2:]
        grown = grown_to_multiple(image, self.cells.side)
        each = partial(in_pieces, judge) if self.pieces else judge
        return self.cells.judged(grown, each)[..., :height, :width]

    def explain(self, segmentation: Segmentation, image: Tensor) -> dict[str, Tensor]:
        """Return the bits of the squares and those of the coder, `(B, H, W)` each, and a sample."""
        del segmentation
        self.require()
        return {
            "bits per dimension": self.over_image(image, self.bits),
            "bits of PNG": self.over_image(image, coder_bits),
            **drawn_sample(self.sample, image, self.stride),
        }

    def squares(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Return the squares of a batch, `(N, 3, side, side)`, and which show inliers, negatives.

        Both are `(N,)` bool; see `Cells.shown`.
        """
        image, label = self.cells.whole(batch.image, batch.label)
        return (self.cells.cut(image), *self.cells.shown(label))

    def loss(self, segmentation: Segmentation, batch: Batch) -> dict[str, Tensor]:
        """Return the mean cost of squares that show inliers."""
        del segmentation
        self.ready = True
        squares, inlier, _ = self.squares(batch)
        return {"bits_per_dim": masked_mean(self.cost(squares), inlier)}
