"""The density of one layer's features: of the vector at a location, or of a window about it."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from roadanomaly.detectors.density.projection import Whitening
from roadanomaly.flows.map_flow import MapFlow
from roadanomaly.flows.scale_flow import ScaleFlow
from roadanomaly.flows.vector_flow import VectorFlow

AnyMapFlow = MapFlow | ScaleFlow

STARTS = 64
"""Windows that the normalisation layers of a flow of maps take their start from."""


class LayerDensity(nn.Module, ABC):
    """Whitened principal components of a layer, and a flow on them.

    Args:
        width: channels of the layer.
        dimensions: principal components that the flow sees.
    """

    flow: VectorFlow | AnyMapFlow

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
    def prepare(self, rows: Tensor) -> None:
        """Take the statistics that the flow rests on from what `take` returned."""

    @abstractmethod
    def whitened(self, rows: Tensor) -> Tensor:
        """Return what the flow sees of what `take` returned."""

    def loss(self, rows: Tensor, noise: float) -> Tensor:
        """Return the mean of `-ln p` a location, in nats; 0, with a gradient of 0, without rows.

        Args:
            rows: what `take` returned.
            noise: deviation of normal noise that is added anew each time; keeps the density of
                dimensions that hardly vary bounded.
        """
        if not len(rows):
            return 0 * self.loss(rows.new_zeros(1, *rows.shape[1:]), noise)
        x = self.whitened(rows)
        cost = -self.log_prob(x + noise * torch.randn_like(x), rows).sum()
        return cost / (len(x) * x.shape[2:].numel())

    def log_prob(self, x: Tensor, rows: Tensor) -> Tensor:
        """Return `ln p` of what `whitened` returned of rows."""
        del rows
        return self.flow.log_prob(x)

    @abstractmethod
    def row_cost(self, rows: Tensor) -> Tensor:
        """Return the cost of the location that each row is of, `(N,)` nats."""

    @abstractmethod
    def cost(self, feature: Tensor) -> Tensor:
        """Return the cost of each location of `(B, C, h, w)`, `(B, h, w)` nats."""


class LocationDensity(LayerDensity):
    """Of the vector at each location, `C` channels of it."""

    def take(self, feature: Tensor, cells: Tensor) -> Tensor:
        """Return `(N, C)`."""
        return feature[:, cells[:, 0], cells[:, 1]].T

    def prepare(self, rows: Tensor) -> None:
        """Take mean and covariance from `(N, C)`."""
        self.whitening.fit(rows)

    def whitened(self, rows: Tensor) -> Tensor:
        """Return `(..., dimensions)` of `(..., C)`."""
        return self.whitening(rows)


class VectorDensity(LocationDensity):
    """Of the vector at each location (1x1 windows): Real NVP; `-ln p`."""

    flow: VectorFlow

    def __init__(self, width: int, dimensions: int, couplings: int, hidden: int) -> None:
        super().__init__(width, dimensions)
        self.flow = VectorFlow(dimensions, couplings, hidden)

    def row_cost(self, rows: Tensor) -> Tensor:
        """Return `-ln p`, `(...)`, of `(..., C)`."""
        return -self.log_prob(self.whitened(rows), rows)

    def cost(self, feature: Tensor) -> Tensor:
        """Return `-ln p` of each location."""
        return self.row_cost(feature.float().permute(0, 2, 3, 1))


class ConditionalDensity(VectorDensity):
    """Of the vector at each location, given what is known of the location.

    Args:
        width: channels of the layer that are the vector; those after them are the condition.
        dimensions: principal components that the flow sees.
        couplings: of the flow.
        hidden: width of its networks.
        context: channels of the condition.
    """

    def __init__(
        self, width: int, dimensions: int, couplings: int, hidden: int, context: int
    ) -> None:
        super().__init__(width, dimensions, couplings, hidden)
        self.width = width
        self.flow = VectorFlow(dimensions, couplings, hidden, context)

    def prepare(self, rows: Tensor) -> None:
        """Take mean and covariance from the vectors of `(N, C)`."""
        self.whitening.fit(rows[..., : self.width])

    def whitened(self, rows: Tensor) -> Tensor:
        """Return `(..., dimensions)` of the vectors of `(..., C)`."""
        return self.whitening(rows[..., : self.width])

    def log_prob(self, x: Tensor, rows: Tensor) -> Tensor:
        """Return `ln p` of whitened vectors under the conditions of their rows."""
        return self.flow.log_prob(x, rows[..., self.width :])


class WindowDensity(LayerDensity):
    """Of a window about each location, in the manner of FastFlow; see `MapFlow.cost`.

    Args:
        width: channels of the layer.
        flow: of maps; it sees as many principal components as it has channels.
        side: of the windows that it learns from, in cells; a smaller map is one window.
    """

    flow: AnyMapFlow

    def __init__(self, width: int, flow: AnyMapFlow, side: int) -> None:
        super().__init__(width, flow.channels)
        self.flow = flow
        self.side = side

    def take(self, feature: Tensor, cells: Tensor) -> Tensor:
        """Return `(N, C, side, side)`, moved into the map where a cell is near its border."""
        height, width = (min(self.side, room) for room in feature.shape[1:])
        tops = (cells[:, 0] - height // 2).clamp(0, feature.shape[1] - height)
        lefts = (cells[:, 1] - width // 2).clamp(0, feature.shape[2] - width)
        down, right = (torch.arange(side, device=cells.device) for side in (height, width))
        rows, columns = tops[:, None, None] + down[:, None], lefts[:, None, None] + right
        return feature[:, rows, columns].movedim(0, 1).contiguous()

    def prepare(self, rows: Tensor) -> None:
        """Take mean and covariance, and start the flow, from `(N, C, side, side)`."""
        self.whitening.fit(rows.permute(0, 2, 3, 1).flatten(0, 2))
        mode = self.flow.training
        self.flow.train()
        with torch.no_grad():
            self.flow.transform(self.whitened(rows[:STARTS]))
        self.flow.train(mode)

    def whitened(self, rows: Tensor) -> Tensor:
        """Return `(B, dimensions, h, w)` of `(B, C, h, w)`."""
        return self.whitening(rows.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)

    def row_cost(self, rows: Tensor) -> Tensor:
        """Return the cost of the middle of each window, `(N,)`."""
        return self.cost(rows)[:, rows.shape[2] // 2, rows.shape[3] // 2]

    def cost(self, feature: Tensor) -> Tensor:
        """Return the cost of each location."""
        return self.flow.cost(self.whitened(feature))
