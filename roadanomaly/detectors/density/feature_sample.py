"""A bounded random sample of feature vectors, several layers at the same pixels."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


class FeatureSample:
    """Keeps at most so many rows of all that it was shown, each with equal chance.

    A row holds the vectors of all layers at one pixel, so layers can be compared. Every row gets
    a random key; those with the smallest keys stay.

    Args:
        size: greatest number of rows that stay.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.chunks: list[tuple[Tensor, dict[str, Tensor]]] = []

    def __len__(self) -> int:
        return sum(len(keys) for keys, _ in self.chunks)

    def add(self, vectors: Mapping[str, Tensor]) -> None:
        """Take rows in: `(N, C)` of each layer."""
        count = len(next(iter(vectors.values())))
        self.chunks.append((torch.rand(count), {k: v.float().cpu() for k, v in vectors.items()}))
        if len(self) > 2 * self.size:
            self._shrink()

    def rows(self) -> dict[str, Tensor]:
        """Return `(N, C)` of each layer, N at most `size`, in random order."""
        self._shrink()
        return self.chunks[0][1] if self.chunks else {}

    def _shrink(self) -> None:
        if not self.chunks:
            return
        keys = torch.cat([keys for keys, _ in self.chunks])
        kept = keys.argsort()[: self.size]
        names = self.chunks[0][1]
        rows = {name: torch.cat([rows[name] for _, rows in self.chunks])[kept] for name in names}
        self.chunks = [(keys[kept], rows)]


def draw_pixels(label: Tensor, count: int, *, balanced: bool) -> Tensor:
    """Draw places among labelled pixels.

    Args:
        label: `(H, W)` int, below 0 where no pixel may be drawn.
        count: of places; fewer if there are fewer pixels.
        balanced: draw equally many of each label that occurs, as far as there are.

    Returns:
        `(N, 2)` rows and columns.
    """
    places = (label >= 0).nonzero()
    if not balanced:
        return places[torch.randperm(len(places))[:count]]
    values = label[places[:, 0], places[:, 1]]
    kinds = values.unique()
    share = -(-count // max(1, len(kinds)))
    parts = []
    for kind in kinds:
        mine = places[values == kind]
        parts.append(mine[torch.randperm(len(mine))[:share]])
    return torch.cat(parts) if parts else places
