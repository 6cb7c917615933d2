"""A detector's scores on the scale of their rarity among inliers, which all detectors share."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from roadanomaly.errors import DataError
from roadanomaly.prepared import Prepared

CELLS = 16384
"""Equal steps of score that the curve is read from."""

RAREST = 1e-5
"""Share of inlier pixels beyond which quantiles are too uncertain to stretch a scale by."""

TAIL = 1e-2
"""Share of inlier pixels from which on the slope beyond all of them is taken."""

LEVELS = 257


class RarityScale(Prepared):
    """Maps a score to `-log10` of the share of inlier pixels that score at least as high.

    The curve is linear between quantiles of inlier scores and is read from a table of equal steps,
    since no runtime has a binary search. Beyond both ends it goes on in a straight line, above with
    the mean slope of the tail: scores above all inliers still differ, as they do not in
    `Calibration.p_value`. It rises strictly, so that the order of a detector's pixels stays.
    """

    table: Tensor
    low: Tensor
    step: Tensor
    tail: Tensor

    def __init__(self) -> None:
        super().__init__(ready=False)
        self.register_buffer("table", torch.zeros(CELLS + 1))
        for name in ("low", "step", "tail"):
            self.register_buffer(name, torch.ones(()))

    def fit(self, scores: Tensor) -> None:
        """Take the curve of inlier scores `(N,)`, N at least 2.

        Raises:
            DataError: all inlier pixels score alike.
        """
        rates = np.geomspace(max(RAREST, 1 / len(scores)), 1, LEVELS)[::-1]
        quantiles = np.quantile(scores.double().cpu().numpy(), 1 - rates)
        rising, first = np.unique(quantiles, return_index=True)
        if len(rising) < 2:
            msg = "all inlier pixels have the same score, so no scale can be made of it."
            raise DataError(msg)
        rarity = -np.log10(rates)[first]
        at = np.linspace(rising[0], rising[-1], CELLS + 1)
        start = min(int(np.searchsorted(rarity, -np.log10(TAIL))), len(rising) - 2)
        tail = (rarity[-1] - rarity[start]) / (rising[-1] - rising[start])
        self.table.copy_(torch.from_numpy(np.interp(at, rising, rarity)))
        self.low.fill_(rising[0])
        self.step.fill_(at[1] - at[0])
        self.tail.fill_(tail)
        self.ready = True

    def forward(self, score: Tensor) -> Tensor:
        """Map scores `(...)` to rarities, same shape, float32; 0 at the lowest inlier."""
        place = (score.float() - self.low) / self.step
        inside = torch.where(place > 0, place, 0.0).clamp(max=CELLS)  # NaN too is a place
        cell = inside.to(torch.int64).clamp(max=CELLS - 1)
        below, above = self.table[cell], self.table[cell + 1]
        rarity = below + (above - below) * (inside - cell)
        beyond = (place - CELLS).clamp(min=0) * self.tail + place.clamp(max=0) * self.tail
        return rarity + beyond * self.step
