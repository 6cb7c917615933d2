"""CS-Flow: a flow of a feature map at three scales at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from roadanomaly.detectors.density.layer_density import LayerDensity, WindowDensity
from roadanomaly.detectors.density.layered import LayeredDensity, LayerOptions
from roadanomaly.errors import OptionError
from roadanomaly.flows.scale_flow import ScaleFlow


class CSFlow(LayeredDensity):
    """`-ln N(z; 0, 1)` of the latents at each location, a mean over scales and levels.

    The channels of each level are whitened by statistics of the held-in frames; the flow's
    couplings see half of the channels of all scales, and learn from windows about inlier pixels.

    Args:
        features: the segmenter's maps; None takes its default.
        encoder: catalogue `name` of an encoder and its options, in place of the segmenter's maps.
        dimensions: greatest number of principal components, 2 to 64.
        steps: of the flow, each moving both halves of the channels.
        hidden: width of the couplings' networks; 1024 as published.
        scales: how many, each half as fine as the one before.
        window: side of the windows that are learned from, in cells; a smaller map is one window.
        vectors: cells that the statistics are taken from, at most.
        per_frame: cells of windows that are drawn from a frame; at least one window is.
        noise: deviation of the noise that is added to the whitened channels in training.

    Raises:
        OptionError: a value out of range.

    Source: Rudolph et al., 2022, Fully Convolutional Cross-Scale-Flows, section 3. Differs: as
    `ScaleFlow` says; whitened principal components; windows, since a crop holds void and negatives;
    the mean over the scales at image size in place of the finest scale's map.
    """

    paper = "Rudolph et al., Fully Convolutional Cross-Scale-Flows, WACV 2022"

    def __init__(
        self,
        features: Sequence[str] | None = None,
        encoder: Mapping[str, Any] | None = None,
        dimensions: int = 32,
        steps: int = 4,
        hidden: int = 64,
        scales: int = 3,
        window: int = 16,
        vectors: int = 50_000,
        per_frame: int = 1024,
        noise: float = 0.05,
    ) -> None:
        if scales < 1:
            msg = f"csflow: `scales` must be at least 1, not {scales}."
            raise OptionError(msg)
        plan = LayerOptions(
            features, encoder, dimensions, steps, hidden, window, vectors, per_frame, noise=noise
        )
        super().__init__("csflow", plan)
        self.scales = scales

    def options(self) -> dict[str, Any]:
        """Return the constructor options."""
        shared = ("dimensions", "hidden", "window", "vectors", "per_frame", "noise")
        own = {"steps": self.plan.couplings, "scales": self.scales}
        return {**self.shared_options(*shared), **own}

    def density(self, width: int) -> LayerDensity:
        """Return a flow of windows at all scales."""
        size = min(self.plan.dimensions, width)
        flow = ScaleFlow(size, self.plan.couplings, self.plan.hidden, self.scales)
        return WindowDensity(width, flow, self.plan.window)

    def aggregated(self, costs: Tensor) -> Tensor:
        """Return the mean over levels."""
        return costs.mean(-1)
