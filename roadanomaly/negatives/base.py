"""What every negative source is: a batch of inliers in, the same batch with negatives in it out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal

import numpy as np
from torch import nn

from roadanomaly.types import Batch


class NegativeSource(nn.Module, ABC):
    """Puts content that is no inlier into a training batch.

    Class facts:
        stage: where it runs: `"loader"` in the data workers, on uint8 images; `"step"` inside
            the training step, on float images on the device (sources with parameters).
    """

    stage: ClassVar[Literal["loader", "step"]] = "loader"

    @abstractmethod
    def mix(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """Return a new batch in which some pixels show negatives and carry the label `NEGATIVE`.

        The given batch is left as it was. `original` of the result holds the images before.
        All randomness comes from `rng`: equal generators give equal batches.
        """

    @abstractmethod
    def record(self) -> dict[str, Any]:
        """Return what the negatives are made of: names and counts, for the run's record."""
