"""GMM: the negative log-likelihood of a feature under a mixture of Gaussians."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from roadanomaly.detectors.density.fitted_density import FittedDensity, check_share
from roadanomaly.detectors.density.grouping import Condition, Grouping
from roadanomaly.detectors.density.mixture_fit import GaussianMixture
from roadanomaly.detectors.density.projection import Whitening
from roadanomaly.detectors.feature_bank import FeatureBank
from roadanomaly.errors import DataError, OptionError


class Gmm(FittedDensity):
    """`-ln sum_k w_k N(f; m_k, C_k)` of whitened principal components, with full covariances.

    A uniform sample of the inlier vectors of all frames is kept for the fit; expectation
    maximisation starts from k-means.

    Args:
        features: the segmenter's maps, the finest first; None takes its default.
        encoder: catalogue `name` of an encoder and its options, in place of the segmenter's maps.
        components: of the mixture.
        dimensions: greatest number of principal components, at least 1.
        rounds: of expectation and maximisation.
        shrinkage: in 0..1, of each covariance: `(1 - shrinkage) C + shrinkage tr(C)/d I`.
        vectors: size of the sample.
        condition: which cells share a mixture: `none`, all; `rows`, those of a band of rows;
            `classes`, those of a predicted class. A group with too few vectors takes that of all.
        bands: of rows.

    Raises:
        OptionError: a value out of range.

    Source: Dempster, Laird and Rubin, 1977, section 4.3, on features of pixels.
    """

    paper = "Dempster et al., Maximum Likelihood from Incomplete Data via the EM Algorithm, 1977"

    def __init__(
        self,
        features: Sequence[str] | None = None,
        encoder: Mapping[str, Any] | None = None,
        components: int = 16,
        dimensions: int = 32,
        rounds: int = 30,
        shrinkage: float = 0.01,
        vectors: int = 20_000,
        condition: Condition = "none",
        bands: int = 8,
    ) -> None:
        if min(components, dimensions, rounds, vectors) < 1:
            msg = (
                "gmm: `components`, `dimensions`, `rounds` and `vectors` must be at least 1, not "
                f"{components}, {dimensions}, {rounds} and {vectors}."
            )
            raise OptionError(msg)
        check_share("gmm", "shrinkage", shrinkage)
        super().__init__(features, encoder, Grouping("gmm", condition, bands))
        self.components, self.dimensions, self.rounds = components, dimensions, rounds
        self.shrinkage, self.vectors = shrinkage, vectors

    def options(self) -> dict[str, Any]:
        """Return the constructor options."""
        own = {
            "components": self.components,
            "dimensions": self.dimensions,
            "rounds": self.rounds,
            "shrinkage": self.shrinkage,
            "vectors": self.vectors,
        }
        return {**super().options(), **own}

    def build(self, width: int, groups: int) -> None:
        """Build a mixture and the sample that it learns from, for each group."""
        size = min(self.dimensions, width)
        self.whitening = Whitening(width, size)
        self.mixtures = nn.ModuleList(GaussianMixture(self.components, size) for _ in range(groups))
        share = max(1, self.vectors // groups)
        self.banks = nn.ModuleList(FeatureBank(share, saved=False) for _ in range(groups))

    def clear(self) -> None:
        """Empty the samples."""
        for bank in self._samples():
            bank.clear()

    def add(self, vectors: Tensor, group: Tensor) -> None:
        """Show vectors to the samples."""
        for number, bank in enumerate(self._samples()):
            bank.add(vectors if len(self.banks) == 1 else vectors[group == number])

    def _samples(self) -> list[FeatureBank]:
        return [bank for bank in self.banks if isinstance(bank, FeatureBank)]

    def finish(self, name: str) -> None:
        """Fit whitening and mixtures."""
        del name
        samples = [bank.rows for bank in self._samples()]
        rows = torch.cat([one for one in samples if len(one)] or samples)
        least = 4 * self.components
        if len(rows) < least:
            msg = (
                f"gmm: {len(rows)} labelled vectors are too few, {least} are needed for "
                f"{self.components} components; fit on more frames, or lower `components`."
            )
            raise DataError(msg)
        self.whitening.fit(rows)
        for mixture, sample in zip(self.mixtures, samples, strict=True):
            assert isinstance(mixture, GaussianMixture)
            mine = sample if len(sample) >= least else rows
            mixture.fit(self.whitening(mine), self.rounds, self.shrinkage)
        self.clear()
        self.ready = True

    def cost(self, vectors: Tensor, group: Tensor) -> Tensor:
        """Return `-ln p_g(f)`."""
        vectors = self.whitening(vectors)
        found = torch.zeros_like(vectors[..., 0])
        for number, mixture in enumerate(self.mixtures):
            assert isinstance(mixture, GaussianMixture)
            found = torch.where(group == number, -mixture.log_prob(vectors), found)
        return found
