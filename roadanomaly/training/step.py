"""One pass of a batch: mix, segment, and let detector and source say what they want minimised."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from roadanomaly.detectors import Detector
from roadanomaly.detectors.losses import masked_mean
from roadanomaly.negatives import NegativeSource
from roadanomaly.segmenters import Segmenter
from roadanomaly.segmenters.closed_set import labels_at, values_at
from roadanomaly.segmenters.teacher import Teacher
from roadanomaly.training.norms import hold_statistics
from roadanomaly.types import NEGATIVE, Batch, Segmentation, is_known

if TYPE_CHECKING:
    from roadanomaly.data.transforms import Degrade

LEARNS = ("train", "finetune")


class TrainingStep(nn.Module):
    """Segmenter, detector and a source that works inside the step, as one module that is trained.

    Args:
        segmenter: the network; of it those parameters learn that the detector names.
        detector: attached to it.
        source: of negatives; one that works in the loader alone has no part here.
        freeze_batch_norm: keep the segmenter's BatchNorm layers in inference mode.
        supervise: `"logits"` or `"image"`: the grid on which losses are taken.
        distill: weight of the term that holds the segmenter near its teacher.
        teacher: a network of the same classes; None takes the segmenter as it starts.
        agree: the teacher is asked several views, and teaches their mean where all name one class.
        unlabelled: it teaches pixels without a class of their own alone.
        degrade: what is done to the crops after the source has mixed them, so that negatives that
            are made here are spoilt as the inliers are; without a source the loader does it.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        detector: Detector,
        source: NegativeSource | None = None,
        *,
        freeze_batch_norm: bool,
        supervise: str,
        distill: float,
        degrade: Degrade | None = None,
        teacher: Segmenter | None = None,
        agree: bool = False,
        unlabelled: bool = False,
    ) -> None:
        super().__init__()
        self.segmenter = segmenter
        self.detector = detector
        self.source = None if source is None or source.stage == "loader" else source
        self.freeze_batch_norm = freeze_batch_norm
        self.supervise = supervise
        self.distill = distill
        self.degrade = degrade
        self.agree = agree
        self.unlabelled = unlabelled
        self.teacher: Segmenter | None = None
        if distill:
            self.teacher = (teacher or copy.deepcopy(segmenter)).requires_grad_(False)
        self.moving = _hold_the_rest(segmenter, detector.moves(segmenter))

    def train(self, mode: bool = True) -> TrainingStep:
        """Set the mode; frozen parts stay in inference mode."""
        super().train(mode)
        if self.teacher is not None:
            self.teacher.eval()
        if not self.moving:
            self.segmenter.eval()
        elif self.freeze_batch_norm:
            hold_statistics(self.segmenter)
        return self

    def forward(self, batch: Batch, rng: np.random.Generator | None = None) -> dict[str, Tensor]:
        """Return the named loss terms of a float batch; their sum is to be minimised.

        Args:
            batch: as it left the loader, on the device.
            rng: all chance of a source that works here, and of the degradation after it.
        """
        if self.source is not None:
            assert rng is not None
            batch = self.source.mix(batch, rng)
            if self.degrade is not None:
                batch = self.degrade.batch(batch, rng)
        found = self._supervised(self.detector.look(self.segmenter, batch.image))
        segmentation = replace(found, places=batch.places)
        losses: dict[str, Tensor] = {}
        if self.detector.kind in LEARNS:
            losses = self.detector.loss(segmentation, batch)
        if self.moving and self.detector.closed_set:
            # computed last and added first: gradients are then summed as in version 0.1, to the bit
            taught = self.detector.taught(segmentation, batch)
            losses = {**self.segmenter.loss(*taught), **losses}
        if self.teacher is not None:
            losses["distill"] = self.distill * self._distance(segmentation, batch)
        if self.source is not None:
            losses |= self.source.loss(batch)
        return losses

    def _supervised(self, segmentation: Segmentation) -> Segmentation:
        """Bring the logits to the grid on which losses are taken; it covers what features cover."""
        if self.supervise == "logits":
            return segmentation
        padded = replace(segmentation, size=segmentation.padded)
        return replace(segmentation, logits=padded.image_logits())

    def _distance(self, segmentation: Segmentation, batch: Batch) -> Tensor:
        """Cross-entropy to the teacher's soft predictions where it teaches, and no negative is."""
        label = labels_at(batch.label, segmentation)
        taught = label != NEGATIVE
        if self.unlabelled:
            taught &= ~is_known(label)
        with torch.no_grad():
            image = batch.image if batch.original is None else batch.original
            target, agreed = self._chances(image, segmentation)
        if agreed is not None:
            taught &= agreed
        log_p = segmentation.class_logits(segmentation.logits).log_softmax(1)
        return masked_mean(-(target * log_p).sum(1), taught)

    def _chances(self, image: Tensor, segmentation: Segmentation) -> tuple[Tensor, Tensor | None]:
        """Return the teacher's class probabilities, and where its views agree if it is asked more.

        Both lie on the grid of the segmentation's logits.
        """
        assert self.teacher is not None
        if self.agree:
            chances, agreed = Teacher(self.teacher, agree=True).chances(image)
            kept = values_at(agreed[:, None], segmentation)[:, 0]
            return values_at(chances, segmentation), kept
        soft = self.teacher(image)
        supervised = self._supervised(soft)
        chances = supervised.class_logits(supervised.logits).softmax(1)
        if chances.shape == segmentation.logits.shape:
            return chances, None
        at_image = soft.class_logits(soft.image_logits()).softmax(1)
        return values_at(at_image, segmentation), None


def _hold_the_rest(segmenter: Segmenter, moving: Iterable[nn.Parameter]) -> bool:
    """Freeze what is not named, and return whether anything of the segmenter learns."""
    chosen = {id(parameter) for parameter in moving}
    for parameter in segmenter.parameters():
        parameter.requires_grad_(parameter.requires_grad and id(parameter) in chosen)
    return any(parameter.requires_grad for parameter in segmenter.parameters())
