"""What every negative source is: a batch of inliers in, the same batch with negatives in it out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from torch import Tensor, nn

from roadanomaly.flows.image_flow import ImageFlow
from roadanomaly.segmenters.base import Segmenter
from roadanomaly.types import Batch

Stage = Literal["loader", "step", "both"]
Content = Literal["negatives", "synthetic negatives"]


class NegativeSource(nn.Module, ABC):
    """Puts content that is no inlier into a training batch.

    It may change some pixels of a crop, or put a foreign image in place of the whole crop, which is
    then `NEGATIVE` throughout, or where it shows foreign objects (`whole.fill`). What it has to say
    beyond image and label, it leaves as a note of the batch (`Batch.noted`).

    Facts of a class, or of one of its objects:
        stage: where it runs: `"loader"` in the data workers, on uint8 images; `"step"` inside
            the training step, on float images on the device (sources with parameters); `"both"`
            first in the one, then in the other (a mixture).
        content: what a detector that was trained on it has seen, for the tables: `"negatives"`
            where any of it comes from photographs of other things, else `"synthetic negatives"`.
        keeps_labels: whether what it changes keeps the class that it shows, so that nothing is
            `NEGATIVE`; detectors that learn from negatives are refused such a source.
        leaves_unlabelled: whether foreign images that it shows have pixels of unknown content; a
            teacher, which is asked about the crop before, is refused beside such a source.
    """

    stage: Stage = "loader"
    content: Content = "negatives"
    keeps_labels: bool = False
    leaves_unlabelled: bool = False

    @classmethod
    def upgrade(cls, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return the options of a config of an earlier version as they are given today.

        `Catalogue.build` asks before it checks them.
        """
        return dict(options)

    def attach(self, segmenter: Segmenter) -> None:
        """Take the segmenter that is trained; called once, before the first step.

        For sources of the step that need the network, such as adversarial patches. Keep it out of
        reach of `nn.Module`, in a tuple: as an attribute it would become a part of the source, and
        be trained and saved with it. Inside `mix` ask it under `torch.enable_grad()` and take the
        slope of the image alone, by `torch.autograd.grad`, so that the weights' gradients stay as
        they are. Where BatchNorm is not frozen, its statistics follow these passes too.
        """
        del segmenter

    def label_as(self, classes: tuple[str, ...]) -> None:
        """Take the names of the classes that the labels of the frames are numbers of.

        For sources that also lay objects of known classes over a crop; called once, before `mix`.
        Without a call they are Cityscapes'.

        Raises:
            OptionError: a class that it needs is not among them.
        """
        del classes

    def loader_part(self) -> NegativeSource | None:
        """Return the part that data workers need, without networks; None where that is nothing."""
        return self if self.stage == "loader" else None

    @abstractmethod
    def mix(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """Return a new batch in which some pixels show negatives and carry the label `NEGATIVE`.

        A source that `keeps_labels` changes pixels alone and notes which.

        The given batch is left as it was. `original` of the result holds the images before, with
        all that is laid over them and known.
        All randomness comes from `rng`: equal generators give equal batches.
        """

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Return the terms that the source's own parameters minimise, of a batch that it mixed."""
        del batch
        return {}

    def learned_flow(self) -> ImageFlow | None:
        """Return the flow that learns in this source, or None."""
        return None

    @abstractmethod
    def record(self) -> dict[str, Any]:
        """Return what the negatives are made of: names and counts, for the run's record."""
