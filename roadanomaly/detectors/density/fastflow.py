"""FastFlow: a two-dimensional flow of each feature map, read location by location."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from roadanomaly.detectors.density.layer_density import LayerDensity, WindowDensity
from roadanomaly.detectors.density.layered import LayeredDensity, LayerOptions
from roadanomaly.flows.map_flow import MapFlow


class FastFlow(LayeredDensity):
    """`-mean_c ln N(z_c; 0, 1)` of the latents at each location, a mean over the levels.

    The channels of each level are whitened by statistics of the held-in frames; a flow of maps,
    whose couplings take turns between 3x3 and 1x1 convolutions, learns from windows about inlier
    pixels.

    Args:
        features: the segmenter's maps; None takes its default.
        encoder: catalogue `name` of an encoder and its options, in place of the segmenter's maps.
        dimensions: greatest number of principal components, 2 to 64.
        steps: of each flow.
        hidden: width of the couplings' networks.
        window: side of the windows that are learned from, in cells; a smaller map is one window.
        vectors: cells that the statistics are taken from, at most.
        per_frame: cells of windows that are drawn from a frame; at least one window is.
        noise: deviation of the noise that is added to the whitened channels in training.

    Raises:
        OptionError: a value out of range.

    Source: Yu et al., 2021, FastFlow, section 3. Differs: whitened principal components in place of
    layer normalisation; Glow's mixing in place of a fixed shuffle; windows, since a crop holds void
    and negatives. `embedding_density` with a `window` is the same flow, its levels normalised on
    held-out frames.
    """

    paper = "Yu et al., FastFlow: Unsupervised Anomaly Detection via 2D Normalizing Flows, 2021"

    def __init__(
        self,
        features: Sequence[str] | None = None,
        encoder: Mapping[str, Any] | None = None,
        dimensions: int = 64,
        steps: int = 8,
        hidden: int = 64,
        window: int = 16,
        vectors: int = 50_000,
        per_frame: int = 1024,
        noise: float = 0.05,
    ) -> None:
        plan = LayerOptions(
            features, encoder, dimensions, steps, hidden, window, vectors, per_frame, noise=noise
        )
        super().__init__("fastflow", plan)

    def options(self) -> dict[str, Any]:
        """Return the constructor options."""
        shared = ("dimensions", "hidden", "window", "vectors", "per_frame", "noise")
        return {**self.shared_options(*shared), "steps": self.plan.couplings}

    def density(self, width: int) -> LayerDensity:
        """Return a flow of windows."""
        size = min(self.plan.dimensions, width)
        flow = MapFlow(size, self.plan.couplings, self.plan.hidden)
        return WindowDensity(width, flow, self.plan.window)

    def aggregated(self, costs: Tensor) -> Tensor:
        """Return the mean over channels and levels."""
        widths = dict(zip(self.source.names, self.source.channels, strict=True))
        sizes = [min(self.plan.dimensions, widths[key]) for key in self.densities]
        levels = [cost / size for cost, size in zip(costs.unbind(-1), sizes, strict=True)]
        return torch.stack(levels, -1).mean(-1)
