"""The density of one layer's features: of the vector at a location, or of a window about it."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from roadanomaly.detectors.density.projection import Whitening
from roadanomaly.flows.map_flow import MapFlow
from roadanomaly.flows.vector_flow import VectorFlow, maximise_likelihood

LOCATIONS = 512
"""Locations that a step of the fit learns from."""

RATE = 2e-3


class LayerDensity(nn.Module, ABC):
    """Whitened principal components of a layer, and a flow on them.

    Args:
        width: channels of the layer.
        dimensions: principal components that the flow sees.
    """

    flow: VectorFlow | MapFlow

    def __init__(self, width: int, dimensions: int) -> None:
        super().__init__()
        self.whitening = Whitening(width, dimensions)

    @abstractmethod
    def take(self, feature: Tensor, cells: Tensor) -> Tensor:
        """Return what the density is of at each cell.

        Args:
            feature: `(C, h, w)`.
            cells: `(N, 2)` int64 rows and columns of the map.
        """

    @abstractmethod
    def fit(self, rows: Tensor, epochs: int, noise: float) -> None:
        """Learn from what `take` returned; the whitening first, then the flow."""

    @abstractmethod
    def row_cost(self, rows: Tensor) -> Tensor:
        """Return the cost of the location that each row is of, `(N,)` nats."""

    @abstractmethod
    def cost(self, feature: Tensor) -> Tensor:
        """Return the cost of each location of `(B, C, h, w)`, `(B, h, w)` nats."""


class VectorDensity(LayerDensity):
    """Of the vector at each location (1x1 windows): Real NVP; `-ln p`."""

    flow: VectorFlow

    def __init__(self, width: int, dimensions: int, couplings: int, hidden: int) -> None:
        super().__init__(width, dimensions)
        self.flow = VectorFlow(dimensions, couplings, hidden)

    def take(self, feature: Tensor, cells: Tensor) -> Tensor:
        """Return `(N, C)`."""
        return feature[:, cells[:, 0], cells[:, 1]].T

    def fit(self, rows: Tensor, epochs: int, noise: float) -> None:
        """Learn from `(N, C)`."""
        self.whitening.fit(rows)
        maximise_likelihood(
            self.flow, self.whitening(rows), epochs=epochs, batch=LOCATIONS, rate=RATE, noise=noise
        )

    def row_cost(self, rows: Tensor) -> Tensor:
        """Return `-ln p`, `(N,)`."""
        return -self.flow.log_prob(self.whitening(rows))

    def cost(self, feature: Tensor) -> Tensor:
        """Return `-ln p` of each location."""
        return self.row_cost(feature.float().permute(0, 2, 3, 1))


class WindowDensity(LayerDensity):
    """Of a window about each location, in the manner of FastFlow; see `MapFlow.cost`.

    Args:
        width: channels of the layer.
        dimensions: principal components that the flow sees.
        couplings: steps of the flow.
        hidden: width of its networks.
        side: of the windows that it learns from, in cells; a smaller map is one window.
    """

    flow: MapFlow

    def __init__(self, width: int, dimensions: int, couplings: int, hidden: int, side: int) -> None:
        super().__init__(width, dimensions)
        self.flow = MapFlow(dimensions, couplings, hidden)
        self.side = side

    def take(self, feature: Tensor, cells: Tensor) -> Tensor:
        """Return `(N, C, side, side)`, moved into the map where a cell is near its border."""
        height, width = (min(self.side, room) for room in feature.shape[1:])
        tops = (cells[:, 0] - height // 2).clamp(0, feature.shape[1] - height).tolist()
        lefts = (cells[:, 1] - width // 2).clamp(0, feature.shape[2] - width).tolist()
        if not tops:
            return feature.new_zeros(0, len(feature), height, width)
        corners = zip(tops, lefts, strict=True)
        return torch.stack([feature[:, y : y + height, x : x + width] for y, x in corners])

    def fit(self, rows: Tensor, epochs: int, noise: float) -> None:
        """Learn from `(N, C, side, side)`."""
        self.whitening.fit(rows.permute(0, 2, 3, 1).flatten(0, 2))
        batch = max(2, LOCATIONS // (rows.shape[2] * rows.shape[3]))
        self.flow.train()
        maximise_likelihood(
            self.flow, self._whitened(rows), epochs=epochs, batch=batch, rate=RATE, noise=noise
        )
        self.flow.eval()

    def row_cost(self, rows: Tensor) -> Tensor:
        """Return the cost of the middle of each window, `(N,)`."""
        return self.cost(rows)[:, rows.shape[2] // 2, rows.shape[3] // 2]

    def cost(self, feature: Tensor) -> Tensor:
        """Return the cost of each location."""
        return self.flow.cost(self._whitened(feature))

    def _whitened(self, maps: Tensor) -> Tensor:
        return self.whitening(maps.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
