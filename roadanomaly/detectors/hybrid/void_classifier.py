"""Void classifier: one more class beside the known ones, learned from void pixels."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from roadanomaly.detectors.base import Detector
from roadanomaly.detectors.grid import at_logits
from roadanomaly.detectors.losses import masked_mean
from roadanomaly.errors import OptionError
from roadanomaly.segmenters.base import Segmenter
from roadanomaly.segmenters.closed_set import labels_at
from roadanomaly.segmenters.last_layer import last_map
from roadanomaly.types import VOID, Batch, Segmentation, is_known


class VoidClassifier(Detector):
    """Probability of the extra class in a softmax over the known classes and void, in 0..1.

    Args:
        weight: of void pixels in the loss, where a pixel of a known class has 1; positive.

    Source: Blum et al., 2021, Fishyscapes (void classifier): `p_void = exp s_(K+1) /
    sum_(k <= K+1) exp s_k`, learned by the cross-entropy of K + 1 classes. Differs from the paper:
    a trained network is fine-tuned, where the authors train from scratch; the extra logit is a
    convolution of the map that the network's last layer reads, so that the logits of the K classes
    stay what every other detector and the class map read. Void is what a data set says (`void:
    label`); ignored pixels, negatives and inliers of unknown class teach nothing. A batch without
    void teaches the known classes.
    """

    kind = "finetune"
    supervision = "void"
    closed_set = False
    paper = "Blum et al., The Fishyscapes Benchmark, IJCV 2021 (void classifier)"

    head: nn.Conv2d

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__()
        if weight <= 0:
            msg = f"void_classifier: `weight` must be positive, not {weight}."
            raise OptionError(msg)
        self.weight = weight
        self.read = ""

    def options(self) -> dict[str, Any]:
        """Return the constructor options."""
        return {"weight": self.weight}

    def check_kind(self, segmenter: Segmenter) -> None:
        """Refuse a segmenter whose last layer does not read one map, too.

        Raises:
            KindError: it cannot be read or trained.
            FeatureError: there is no such map.
        """
        super().check_kind(segmenter)
        last_map(segmenter)

    def attach(self, segmenter: Segmenter) -> None:
        """Build the extra class on the map that the last layer reads."""
        self.read = last_map(segmenter)
        self.head = nn.Conv2d(segmenter.feature(self.read).channels, 1, 1)

    @property
    def needs(self) -> tuple[str, ...]:
        """The map that the last layer reads."""
        return (self.read,)

    def all_logits(self, segmentation: Segmentation) -> Tensor:
        """Return logits of the K classes and of void, `(B, K + 1, h, w)` float32, on their grid."""
        void = at_logits(self.head(segmentation.features[self.read]), segmentation)
        return torch.cat([segmentation.logits.float(), void.float()], 1)

    def loss(self, segmentation: Segmentation, batch: Batch) -> dict[str, Tensor]:
        """Return the cross-entropy over K + 1 classes, a mean over pixels of either kind."""
        self.ready = True
        label = labels_at(batch.label, segmentation)
        void = label == VOID
        counted = void | is_known(label)
        logits = self.all_logits(segmentation)
        target = label.masked_fill(void, logits.shape[1] - 1).masked_fill(~counted, 0)
        pixels = functional.cross_entropy(logits, target, reduction="none")
        weights = counted + (self.weight - 1) * void
        return {"void_cross_entropy": masked_mean(pixels, weights)}

    def score(self, segmentation: Segmentation, image: Tensor) -> Tensor:
        """Return `p_void` of logits brought to image size, `(B, H, W)`."""
        self.require()
        logits = segmentation.to_image(self.all_logits(segmentation))
        return logits.softmax(1)[:, -1]
