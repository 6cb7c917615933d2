"""PatchCore: the distance of a feature to the nearest one that inliers have shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from roadanomaly.detectors.density.fitted_density import FittedDensity
from roadanomaly.detectors.feature_bank import FeatureBank
from roadanomaly.errors import DataError, OptionError


class PatchCore(FittedDensity):
    """Euclidean distance to the nearest vector of a coreset of inlier vectors.

    Each map is averaged over 3x3 cells, the maps are brought to the finest one's size and put
    together; a uniform sample of the inlier vectors of all frames is thinned by greedy k-centre
    selection, so that rare content stays. The search is exact.

    Args:
        features: the segmenter's maps, the finest first; None takes its default.
        encoder: catalogue `name` of an encoder and its options, in place of the segmenter's maps.
        pool: side of the window that each map is averaged over, odd; 1 for none.
        vectors: size of the sample.
        coreset: share of the sample that stays, above 0 and at most 1.
        projection: dimensions of the random projection on which the selection works; 0 for none.
        reweight: how many of the bank, from the nearest vector on and around it, weigh its
            distance d: `(1 - exp(d) / sum_i exp(d_i)) d`; 0 for none, else 2 or more.

    Raises:
        OptionError: a value out of range.

    Source: Roth et al., 2022, PatchCore, section 3. Differs: a sample before the selection, since
    road frames have a thousand times the cells of the published sets; `reweight` works at each
    cell and not for an image's largest distance alone. There are no groups of cells as in the
    other densities: the nearest vectors are of a cell's kind already.
    """

    paper = "Roth et al., Towards Total Recall in Industrial Anomaly Detection, CVPR 2022"

    def __init__(
        self,
        features: Sequence[str] | None = None,
        encoder: Mapping[str, Any] | None = None,
        pool: int = 3,
        vectors: int = 40_000,
        coreset: float = 0.1,
        projection: int = 64,
        reweight: int = 0,
    ) -> None:
        if pool < 1 or pool % 2 == 0:
            msg = f"patchcore: `pool` must be an odd number of cells, 1 for none, not {pool}."
            raise OptionError(msg)
        if not 0 < coreset <= 1:
            msg = f"patchcore: `coreset` must lie above 0 and at most 1, not {coreset}."
            raise OptionError(msg)
        if vectors < 1 or projection < 0 or reweight < 0 or reweight == 1:
            msg = (
                "patchcore: `vectors` must be at least 1, `projection` not negative, `reweight` 0 "
                f"or at least 2, not {vectors}, {projection} and {reweight}."
            )
            raise OptionError(msg)
        super().__init__(features, encoder, pool=pool)
        self.vectors, self.coreset = vectors, coreset
        self.projection, self.reweight = projection, reweight

    def options(self) -> dict[str, Any]:
        """Return the constructor options."""
        own = {
            "pool": self.pool,
            "vectors": self.vectors,
            "coreset": self.coreset,
            "projection": self.projection,
            "reweight": self.reweight,
        }
        return {**super().options(), **own}

    def build(self, width: int, groups: int) -> None:
        """Make the bank."""
        del groups
        self.width = width
        self.bank = FeatureBank(self.vectors)

    def clear(self) -> None:
        """Empty the bank."""
        self.bank.clear()

    def add(self, vectors: Tensor, group: Tensor) -> None:
        """Show vectors to the bank."""
        del group
        self.bank.add(vectors)

    def finish(self, name: str) -> None:
        """Thin the bank."""
        del name
        least = max(1, self.reweight)
        if len(self.bank) < least:
            msg = (
                f"patchcore: {len(self.bank)} labelled vectors are too few, {least} are needed; "
                "fit on more frames."
            )
            raise DataError(msg)
        count = max(least, round(self.coreset * len(self.bank)))
        few = self.projection if self.projection < self.width else 0
        self.bank.thin(count, few)
        self.ready = True

    def cost(self, vectors: Tensor, group: Tensor) -> Tensor:
        """Return the distance to the nearest vector of the bank, weighted if that is asked for."""
        del group
        distances, numbers = self.bank.nearest(vectors)
        if not self.reweight:
            return distances[..., 0]
        rows = self.bank.rows
        around = self.bank.nearest(rows[numbers[..., 0]], self.reweight)[1]
        others = (vectors[..., None, :] - rows[around]).norm(dim=-1)
        return others[..., 0] * (1 - others.softmax(-1)[..., 0])
