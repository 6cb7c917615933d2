"""Nearest neighbours among inlier features, beside the energy of the logits."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from roadanomaly.detectors.base import Detector, Pass
from roadanomaly.detectors.density.draw_cells import draw_cells
from roadanomaly.detectors.feature_bank import FeatureBank
from roadanomaly.errors import DataError, OptionError
from roadanomaly.segmenters.base import Segmenter
from roadanomaly.types import Batch, Segmentation

LEAST = 1e-6
"""A smaller spread of reference values counts as this."""


class Knn(Detector):
    """Mean distance to the nearest inlier features, and the energy, each on a scale of inliers.

    The bank holds features of held-in frames. Reference vectors, drawn from held-out frames, say
    what both scores reach on inliers: the distance is divided by its greatest one there, and of the
    energy the lowest is taken off before it is divided by its range. The sum is the score.

    Args:
        feature: map to search in. None takes the keys of a transformer's last block, where all its
            blocks have one stride, and the segmenter's default elsewhere.
        k: neighbours whose distances are averaged.
        vectors: of the bank, at most; drawn alike from all frames.
        per_frame: vectors drawn from a frame.
        thin: of the bank, keep as many that cover the others (greedy k-centres); 0 keeps all.
        references: of either score, at most.
        quantile: of the references that counts as the greatest; the lowest is 1 less this.
        energy: add the energy; without it the score is the distance alone.

    Raises:
        OptionError: a value out of range.

    Source: Galesso, Argus, Brox, 2023, cDNP: k = 3, 100 000 vectors of 500 frames, the keys of the
    last block. Differs from the public code: the scale is taken from frames outside the bank and
    against the whole of it, where the code searches a sample of the bank in itself; the distances
    are exact; `thin` and `quantile`.
    """

    kind = "fit"
    fit_passes = (Pass("bank"), Pass("references", held_out=True))
    accepts = ("logits", "evidence")
    paper = "Galesso et al., Far Away in the Deep Space: Dense Nearest-Neighbor-Based " + (
        "Out-of-Distribution Detection, ICCVW 2023"
    )

    farthest: Tensor
    lowest: Tensor
    spread: Tensor

    def __init__(
        self,
        feature: str | None = None,
        k: int = 3,
        vectors: int = 100_000,
        per_frame: int = 200,
        thin: int = 0,
        references: int = 30_000,
        quantile: float = 1.0,
        energy: bool = True,
    ) -> None:
        super().__init__()
        if min(k, vectors, per_frame, references) < 1 or thin < 0:
            msg = (
                "knn: `k`, `vectors`, `per_frame` and `references` must be at least 1 and `thin` "
                "not negative."
            )
            raise OptionError(msg)
        if not 0.5 < quantile <= 1:
            msg = f"knn: `quantile` must lie above 0.5 and be at most 1, not {quantile:g}."
            raise OptionError(msg)
        if k > min(vectors, thin or vectors):
            msg = f"knn: {k} neighbours of a bank of {min(vectors, thin or vectors)} vectors."
            raise OptionError(msg)
        self.feature, self.k = feature, k
        self.vectors, self.per_frame, self.thin = vectors, per_frame, thin
        self.references, self.quantile, self.energy = references, quantile, energy
        self.bank = FeatureBank(vectors)
        self.distances, self.energies = (FeatureBank(references, saved=False) for _ in range(2))
        for name in ("farthest", "lowest", "spread"):
            self.register_buffer(name, torch.ones(()))

    def options(self) -> dict[str, Any]:
        """Return the constructor options."""
        return {
            "feature": self.feature,
            "k": self.k,
            "vectors": self.vectors,
            "per_frame": self.per_frame,
            "thin": self.thin,
            "references": self.references,
            "quantile": self.quantile,
            "energy": self.energy,
        }

    def attach(self, segmenter: Segmenter) -> None:
        """Choose the map."""
        self.feature = self.feature or last_keys(segmenter) or segmenter.default_feature
        segmenter.feature(self.feature)

    @property
    def needs(self) -> tuple[str, ...]:
        """The map that is searched in."""
        return (self.feature,) if self.feature else ()

    def begin(self, name: str) -> None:
        """Empty the bank, or what the scales are taken from."""
        super().begin(name)
        for bank in (self.bank,) if name == "bank" else (self.distances, self.energies):
            bank.clear()

    def update(self, segmentation: Segmentation, batch: Batch, name: str) -> None:
        """Draw vectors, for the bank or as references."""
        vectors = self._drawn(segmentation.features[self.needs[0]], segmentation, batch)
        if name == "bank":
            self.bank.add(vectors)
            return
        self.distances.add(self.bank.nearest(vectors, self.k)[0].mean(-1, keepdim=True))
        self.energies.add(self._drawn(_energy(segmentation)[:, None], segmentation, batch))

    def _drawn(self, values: Tensor, segmentation: Segmentation, batch: Batch) -> Tensor:
        return draw_cells(values, segmentation, batch.label, self.per_frame, balanced=False)[0]

    def finish(self, name: str) -> None:
        """Thin the bank, or set the scales.

        Raises:
            DataError: the frames show too few labelled inliers.
        """
        if name == "bank":
            self._close()
        else:
            self._scale()

    def _close(self) -> None:
        if len(self.bank) < self.k:
            msg = (
                f"knn: {len(self.bank)} vectors lie on labelled inliers, and {self.k} neighbours "
                "are to be found among them; fit on more labelled frames."
            )
            raise DataError(msg)
        if self.thin:
            self.bank.thin(self.thin)

    def _scale(self) -> None:
        if not len(self.distances):
            msg = (
                "knn: the held-out frames show no labelled inlier, and the scale is theirs; hold "
                "out a larger share, with `held_out`."
            )
            raise DataError(msg)
        self.farthest.copy_(self._at(self.distances, self.quantile).clamp_min(LEAST))
        high, low = (self._at(self.energies, q) for q in (self.quantile, 1 - self.quantile))
        self.lowest.copy_(low)
        self.spread.copy_((high - low).clamp_min(LEAST))
        self.distances.clear()
        self.energies.clear()
        self.ready = True

    def _at(self, bank: FeatureBank, quantile: float) -> Tensor:
        """Return the quantile of a bank of numbers, the nearest of them."""
        values = bank.rows.flatten().sort().values
        return values[round(quantile * (len(values) - 1))]

    def distance(self, segmentation: Segmentation) -> Tensor:
        """Return the mean distance to the nearest vectors, `(B, h', w')`, on the map's grid."""
        vectors = segmentation.features[self.needs[0]].movedim(1, -1)
        return self.bank.nearest(vectors, self.k)[0].mean(-1)

    def score(self, segmentation: Segmentation, image: Tensor) -> Tensor:
        """Return the scaled distance, and the scaled energy added to it, `(B, H, W)`."""
        del image
        self.require()
        far = segmentation.to_image(self.distance(segmentation)) / self.farthest
        if not self.energy:
            return far
        return far + (segmentation.to_image(_energy(segmentation)) - self.lowest) / self.spread

    def explain(self, segmentation: Segmentation, image: Tensor) -> dict[str, Tensor]:
        """Return what the score adds up, each on its scale."""
        del image
        self.require()
        far = segmentation.to_image(self.distance(segmentation) / self.farthest)
        shown = {"distance to inlier features": far}
        if self.energy:
            scaled = (_energy(segmentation) - self.lowest) / self.spread
            shown["energy"] = segmentation.to_image(scaled)
        return shown


def last_keys(segmenter: Segmenter) -> str:
    """Return the name of the last block's keys, or "" where blocks have several strides or none."""
    known = segmenter.on_request
    blocks = [name for name in known if name.startswith("block")]
    if len({known[name].stride for name in blocks}) != 1:
        return ""
    return blocks[-1].replace("block", "keys")


def _energy(segmentation: Segmentation) -> Tensor:
    """Return the free energy on the logits' grid, `(B, h, w)`; of evidence, `-ln sum_k E_k`."""
    return -segmentation.class_logits(segmentation.logits).logsumexp(1)
