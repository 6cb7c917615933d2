"""What densities without gradients share: joined maps, groups of cells, one walk over inliers."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from roadanomaly.catalogue import called
from roadanomaly.detectors.base import Detector, Pass
from roadanomaly.detectors.density.grouping import Grouping
from roadanomaly.detectors.feature_source import FeatureSource
from roadanomaly.errors import OptionError
from roadanomaly.segmenters.base import Segmenter
from roadanomaly.types import Batch, Segmentation, is_inlier

log = logging.getLogger(__name__)


MARK = "in_place"
"""In the saved state of what was fitted with cells where they lie; earlier versions left it out."""


class FittedDensity(Detector):
    """Statistics of the vectors at each cell of joined maps, taken in one walk over inlier frames.

    Args:
        source: of the maps; several are brought to the finest one's size and put together.
        pool: side of the window, in cells of each map, over which it is averaged first.
        grouping: which cells share statistics; None for all of them.

    Attributes:
        in_place: whether it was fitted with maps joined and grouped where a network's cells lie.
            Earlier versions took them half a cell inside, on networks that align corners too;
            what they saved has no mark, and is scored as it was fitted.
    """

    kind = "fit"
    fit_passes = (Pass("fit"),)
    accepts = ("logits", "evidence")

    def __init__(
        self,
        features: Sequence[str] | None,
        encoder: Mapping[str, Any] | None,
        grouping: Grouping | None = None,
        pool: int = 1,
    ) -> None:
        super().__init__()
        self.source = FeatureSource(features, encoder)
        self.grouping = grouping
        self.pool = pool
        self.in_place = True
        self._warned = False

    def options(self) -> dict[str, Any]:
        """Return the constructor options."""
        found = self.source.options()
        if self.grouping is not None:
            found |= {"condition": self.grouping.condition, "bands": self.grouping.bands}
        return found

    def attach(self, segmenter: Segmenter) -> None:
        """Size the statistics."""
        self.source.attach(segmenter)
        groups = self.grouping.count(segmenter) if self.grouping else 1
        self.build(sum(self.source.channels), groups)

    @abstractmethod
    def build(self, width: int, groups: int) -> None:
        """Register the statistics of vectors of a width, for each group."""

    @abstractmethod
    def clear(self) -> None:
        """Forget all vectors that the statistics are taken from."""

    @abstractmethod
    def add(self, vectors: Tensor, group: Tensor) -> None:
        """Take inlier vectors `(N, C)` of the groups `(N,)` into the statistics."""

    @abstractmethod
    def cost(self, vectors: Tensor, group: Tensor) -> Tensor:
        """Return how unusual vectors `(B, h, w, C)` of the groups `(B, h, w)` are, `(B, h, w)`."""

    @property
    def needs(self) -> tuple[str, ...]:
        """The maps that are read."""
        return self.source.needs

    def begin(self, name: str) -> None:
        """Start with no vectors."""
        super().begin(name)
        self.clear()
        self.in_place = True

    def update(self, segmentation: Segmentation, batch: Batch, name: str) -> None:
        """Take the vectors at inlier pixels."""
        del name
        cells = self._cells(segmentation, batch.image)
        inlier = is_inlier(self.source.labels(segmentation, batch.label, cells))
        vectors = cells.permute(0, 2, 3, 1)[inlier]
        self.add(vectors, self._group(segmentation, cells)[inlier])

    def score(self, segmentation: Segmentation, image: Tensor) -> Tensor:
        """Return the cost of the vector at each pixel, `(B, H, W)`."""
        return self.to_image(segmentation, self.native(segmentation, image))

    def native(self, segmentation: Segmentation, image: Tensor) -> Tensor:
        """Return the same on the finest map's grid, `(B, h, w)`, float32 whatever autocast says."""
        self.require()
        cells = self._cells(segmentation, image)
        with torch.autocast(cells.device.type, enabled=False):
            return self.cost(cells.permute(0, 2, 3, 1), self._group(segmentation, cells))

    def to_image(self, segmentation: Segmentation, values: Tensor) -> Tensor:
        """Bring values on the finest map's grid to image size, as the maps' network does."""
        return self.source.to_image(segmentation, values)

    def explain(self, segmentation: Segmentation, image: Tensor) -> dict[str, Tensor]:
        """Return the cost before any refiner, and which statistics each cell was held to.

        Both are `(B, H, W)`; the second is left out where all cells share theirs, and lies in 0..1.
        """
        maps = {"cost": self.score(segmentation, image)}
        if self.grouping is None or self.grouping.condition == "none":
            return maps
        group = self._group(segmentation, self._cells(segmentation, image)).float()
        share = group / group.amax().clamp_min(1)
        return {**maps, "group": self.to_image(segmentation, share)}

    def _cells(self, segmentation: Segmentation, image: Tensor) -> Tensor:
        maps = list(self.source.maps(segmentation, image).values())
        if self.pool > 1:
            maps = [
                functional.avg_pool2d(
                    one.float(), self.pool, 1, self.pool // 2, count_include_pad=False
                )
                for one in maps
            ]
        return self.source.joined(self._as_fitted(segmentation), maps)

    def _group(self, segmentation: Segmentation, cells: Tensor) -> Tensor:
        grouping = self.grouping or Grouping("density", "none", 1)
        placed = self._as_fitted(segmentation)
        return grouping.of(placed, cells, aligned=self.source.aligned(placed))

    def _as_fitted(self, segmentation: Segmentation) -> Segmentation:
        """Return a segmentation that says where cells lay when this was fitted; warns once."""
        if self.in_place or not segmentation.align_corners:
            return segmentation
        own = self.source.encoder is None
        condition = self.grouping.condition if self.grouping else "none"
        apart = condition == "classes" or (own and condition == "rows")
        if (apart or (own and len(self.source.names) > 1)) and not self._warned:
            self._warned = True
            log.warning(
                "%s: an earlier version fitted it, half a cell beside where the cells of this "
                "network lie; it scores as it did then. Fit it anew to take them where they lie.",
                called(self),
            )
        return replace(segmentation, align_corners=False)

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if self.in_place:
            destination[f"{prefix}{MARK}"] = torch.tensor(True)

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *rest: Any) -> None:
        self.in_place = bool(state_dict.pop(f"{prefix}{MARK}", False))
        super()._load_from_state_dict(state_dict, prefix, *rest)


def check_share(detector: str, option: str, value: float) -> None:
    """Refuse a value outside 0..1.

    Raises:
        OptionError: names it.
    """
    if not 0 <= value <= 1:
        msg = f"{detector}: `{option}` must lie in 0..1, not {value}."
        raise OptionError(msg)
