"""CFLOW: the density of a feature given what is known of its place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor

from roadanomaly.detectors.density.grouping import Grouping
from roadanomaly.detectors.density.layer_density import ConditionalDensity, LayerDensity
from roadanomaly.detectors.density.layered import HeldOutDensity, LayerOptions
from roadanomaly.detectors.position import place_code, places_in_frame
from roadanomaly.errors import OptionError
from roadanomaly.segmenters.base import Segmenter
from roadanomaly.types import Segmentation

Given = Literal["none", "rows", "classes", "position"]
CODE = 128
"""Values of the code of a position, as published."""

GRID = 64
"""Rows and columns of a frame, as the published code counts them at its finest level."""


class CFlow(HeldOutDensity):
    """Negative log-likelihood of a feature under a flow that is given a condition.

    Frozen features of each level are projected on their principal components and whitened; a Real
    NVP learns their density given the condition, from vectors drawn in each batch. The costs of the
    levels are standardised on inlier vectors of held-out frames, and their mean is the score.

    Args:
        features: the segmenter's maps; None takes its default.
        encoder: catalogue `name` of an encoder and its options, in place of the segmenter's maps.
        condition: `classes`, the class that the segmenter predicts; `rows`, which of the bands of
            rows; `position`, sines and cosines of row and column, as published, which learns where
            in the frame things are; `none`, the density of `embedding_density`. A training crop has
            the rows and columns of its place in the frame.
        bands: of the frame's rows.
        dimensions: greatest number of principal components, 2 to 64.
        couplings: of each flow.
        hidden: width of the couplings' networks.
        vectors: greatest number of vectors that statistics are taken from.
        per_frame: vectors drawn from a frame, or from a crop in a training step.
        noise: deviation of the noise that is added to the whitened vectors in training.
        smooth: side of the square window, in cells of each map, over which costs are averaged.

    Raises:
        OptionError: a value out of range.

    Source: Gudovskiy et al., 2022, CFLOW-AD, section 4. Differs: the condition, since nothing has
    its place in a road scene; levels are standardised on held-out frames, where the public code
    divides by the largest likelihood of the test set; zuko's bound on log-scales; a frame counts as
    64 rows and columns for the code, whatever its size and the map's stride.
    """

    paper = "Gudovskiy et al., CFLOW-AD, WACV 2022"

    def __init__(
        self,
        features: Sequence[str] | None = None,
        encoder: Mapping[str, Any] | None = None,
        condition: Given = "classes",
        bands: int = 8,
        dimensions: int = 64,
        couplings: int = 8,
        hidden: int = 64,
        vectors: int = 100_000,
        per_frame: int = 300,
        noise: float = 0.05,
        smooth: int = 1,
    ) -> None:
        plan = LayerOptions(
            features,
            encoder,
            dimensions,
            couplings,
            hidden,
            vectors=vectors,
            per_frame=per_frame,
            noise=noise,
            smooth=smooth,
        )
        super().__init__("cflow", plan)
        if condition not in ("none", "rows", "classes", "position"):
            msg = f"cflow: `condition` {condition!r}; known: classes, none, position, rows."
            raise OptionError(msg)
        self.condition = condition
        self.grouping = Grouping("cflow", "none" if condition == "position" else condition, bands)

    def options(self) -> dict[str, Any]:
        """Return the constructor options."""
        shared = ("dimensions", "couplings", "hidden", "vectors", "per_frame", "noise", "smooth")
        own = {"condition": self.condition, "bands": self.grouping.bands}
        return {**self.shared_options(*shared), **own}

    def attach(self, segmenter: Segmenter) -> None:
        """Build the density of each map."""
        self.groups = self.grouping.count(segmenter)
        super().attach(segmenter)

    @property
    def context(self) -> int:
        """Channels of the condition."""
        return {"none": 0, "position": CODE}.get(self.condition, self.groups)

    def density(self, width: int) -> LayerDensity:
        """Return the density of vectors given the condition."""
        size = min(self.plan.dimensions, width)
        plan = self.plan
        return ConditionalDensity(width, size, plan.couplings, plan.hidden, self.context)

    def layers(self, segmentation: Segmentation, image: Tensor) -> dict[str, Tensor]:
        """Return the maps, each followed by its condition."""
        maps = super().layers(segmentation, image)
        return {
            key: torch.cat([one.float(), self._condition(segmentation, one)], 1)
            for key, one in maps.items()
        }

    def aggregated(self, costs: Tensor) -> Tensor:
        """Return the mean of the standardised costs."""
        return self.standard(costs).mean(-1)

    def _condition(self, segmentation: Segmentation, cells: Tensor) -> Tensor:
        """Return the condition of each cell, `(B, P, h, w)`."""
        if self.condition == "none":
            return cells[:, :0].float()
        if self.condition == "position":
            rows, columns = places_in_frame(segmentation, cells)
            code = place_code(GRID * rows - 0.5, GRID * columns - 0.5, CODE)
            return code.expand(len(cells), -1, -1, -1)
        # half a cell inside for every network: what flows were trained with stays theirs
        plain = replace(segmentation, align_corners=False)
        group = self.grouping.of(plain, cells, aligned=False)
        numbers = torch.arange(self.groups, device=cells.device)[:, None, None]
        return (group[:, None] == numbers).float()
