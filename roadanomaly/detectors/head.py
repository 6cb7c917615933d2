"""A detector with what refines its score: from a segmentation to a score at image size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from roadanomaly.catalogue import called
from roadanomaly.detectors import DETECTORS, Detector
from roadanomaly.detectors.supervision import foremost
from roadanomaly.errors import NotFitted
from roadanomaly.refiners import REFINERS, Refiner
from roadanomaly.segmenters import Segmenter
from roadanomaly.types import Segmentation


@dataclass(frozen=True)
class Head:
    """What is put on a segmenter.

    Args:
        detector: any.
        refiners: of its score, in order; those of grid `native` come before those of `image`.
    """

    detector: Detector
    refiners: Sequence[Refiner] = ()

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of the segmenter's features that are read, each once."""
        names = [*self.detector.needs, *(need for one in self.refiners for need in one.needs)]
        return tuple(dict.fromkeys(names))

    @property
    def shares_pass(self) -> bool:
        """Whether one plain pass of the network is all that is asked."""
        return not self.detector.asks and self.reads_segmentation

    @property
    def reads_segmentation(self) -> bool:
        """Whether the detector or a refiner reads what the segmenter says."""
        return self.detector.reads_segmentation or any(
            one.reads_segmentation for one in self.refiners
        )

    @property
    def one_by_one(self) -> bool:
        """Whether frames must not be looked at together: a state, or gradients of weights."""
        return bool({"state", "gradients"} & set(self.detector.asks))

    @property
    def networks(self) -> nn.Module:
        """All that is saved: the detector, with its refiners where there are any."""
        if not self.refiners:
            return self.detector
        return nn.ModuleDict({"detector": self.detector, "refiners": nn.ModuleList(self.refiners)})

    @property
    def learned_from(self) -> str:
        """What detector and refiners learned from beside inlier classes, for the tables."""
        parts = (one.learned_from for one in self.refiners)
        return foremost([self.detector.learned_from, *parts])

    def inference(self) -> AbstractContextManager[None]:
        """Return the mode to look and score in: inference mode, unless gradients are asked for."""
        return torch.inference_mode("gradients" not in self.detector.asks)

    def attach(self, segmenter: Segmenter) -> None:
        """Fit detector and refiners to a segmenter; called once.

        Raises:
            KindError: the detector cannot read what the segmenter answers.
            FeatureError: a feature is missing.
        """
        self.detector.check_kind(segmenter)
        self.detector.attach(segmenter)
        for refiner in self.refiners:
            refiner.attach(segmenter)

    def look(self, segmenter: Segmenter, image: Tensor) -> Segmentation:
        """Ask the network as the detector does, and once more where refiners read more of it.

        Args:
            segmenter: the one that the head is attached to.
            image: `(B, 3, H, W)` float in 0..1, on the network's device.
        """
        if self.shares_pass:
            return segmenter(image, self.needs)
        found = self.detector.look(segmenter, image)
        wanted = dict.fromkeys(need for one in self.refiners for need in one.needs)
        left = [name for name in wanted if name not in found.features]
        unasked = self.reads_segmentation and not self.detector.reads_segmentation
        if not left and not unasked:
            return found
        plain = segmenter(image, left)
        answer = plain if unasked else found
        return replace(answer, features={**plain.features, **found.features})

    def score(self, segmentation: Segmentation, image: Tensor) -> Tensor:
        """Score each pixel, `(B, H, W)` float32, higher = more anomalous.

        Args:
            segmentation: what `look` returned of `image`.
            image: `(B, 3, H, W)` float in 0..1.

        Raises:
            NotFitted: the detector or a refiner has not been prepared.
        """
        score = self._refined(segmentation, image, self._ordered())
        return self._at_image(score, segmentation).float()

    def score_for(self, refiner: Refiner, segmentation: Segmentation, image: Tensor) -> Tensor:
        """Return the score that enters one of the refiners, on its grid; arguments as `score`."""
        ordered = self._ordered()
        score = self._refined(segmentation, image, ordered[: ordered.index(refiner)])
        return self._at_image(score, segmentation) if refiner.grid == "image" else score

    def _at_image(self, score: Tensor, segmentation: Segmentation) -> Tensor:
        """Bring a score to image size, as the detector itself does."""
        if score.shape[-2:] == segmentation.size:
            return score
        return self.detector.to_image(segmentation, score)

    def _ordered(self) -> list[Refiner]:
        """Return the refiners as they follow each other: stable, those of grid `native` first."""
        return sorted(self.refiners, key=lambda one: one.grid == "image")

    def _refined(
        self, segmentation: Segmentation, image: Tensor, refiners: Sequence[Refiner]
    ) -> Tensor:
        score = self.detector.native(segmentation, image)
        for one in refiners:
            if not one.ready:
                msg = (
                    f"the refiner `{called(one)}` has learned nothing yet; run `roadanomaly "
                    "fit` first, or load a model that was saved after it."
                )
                raise NotFitted(msg)
            if one.grid == "image":
                score = self._at_image(score, segmentation)
            score = one(score, segmentation, image)
        return score

    def describe(self) -> dict[str, Any]:
        """Return the specs that rebuild detector and refiners."""
        return {
            "detector": {"name": DETECTORS.name_of(self.detector), **self.detector.options()},
            "refiners": [{"name": REFINERS.name_of(one), **one.options()} for one in self.refiners],
        }

    @classmethod
    def from_description(cls, description: Mapping[str, Any]) -> Head:
        """Build what `describe` described, with fresh weights.

        Raises:
            UserError: a name or an option that this version does not know.
        """
        refiners = [REFINERS.from_spec(one) for one in description.get("refiners", ())]
        return cls(DETECTORS.from_spec(description["detector"]), refiners)
