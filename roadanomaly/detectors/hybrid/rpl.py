"""RPL: a residual branch before the frozen classifier, which changes the energy and no class."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from roadanomaly.catalogue import called
from roadanomaly.detectors.base import Detector
from roadanomaly.detectors.grid import at_logits
from roadanomaly.detectors.hybrid.contrast import PixelContrast
from roadanomaly.detectors.losses import at_least_single, masked_mean
from roadanomaly.detectors.softmax import entropy
from roadanomaly.errors import KindError, OptionError
from roadanomaly.segmenters.base import Segmenter
from roadanomaly.segmenters.closed_set import labels_at
from roadanomaly.segmenters.deeplab_wrn38 import DeepLabPyramid
from roadanomaly.segmenters.last_layer import last_map
from roadanomaly.types import NEGATIVE, Batch, Segmentation, is_inlier

LOGITS, RESIDUAL = "rpl_logits", "rpl_residual"
"""What `look` puts beside the features: logits of the corrected map, and the correction."""


class RPL(Detector):
    """Energy of the logits that the frozen last layer gives of a corrected map.

    A pyramid of dilated convolutions on a coarse map, brought to the map that the last layer reads,
    is added there. On inliers the corrected logits learn what the frozen network says (its class,
    by cross-entropy, and its entropy, by squared difference), on negatives
    `weight * mean relu(ln sum_k exp s_k)`. The network's own logits, and with them its classes,
    stay as they were to the bit.

    Args:
        feature: map that the pyramid reads; None takes the coarsest, of those the widest.
        width: of each part of the pyramid.
        weight: of the negatives' term.
        hold: of a further term, the squared difference of both energies on inliers; 0, as
            published, leaves the energy of inliers to itself.
        contrast: add CoroCL, a contrast of the correction at negatives and at inliers.
        contrast_weight: of that term.

    Raises:
        OptionError: a value out of range.

    Source: Liu et al., 2023, Residual Pattern Learning. Differs: the last convolution of the branch
    begins as 0, so that training starts from the frozen network; the pyramid has no global mean;
    CoroCL contrasts negatives with inliers of whatever crops a batch holds: other surroundings come
    from a `mixture` of sources with `whole_pictures`, not from foreign pictures with inliers of
    their own. The published smoothing of the score is the refiner `blur`.
    """

    kind = "train"
    supervision = "negatives"
    asks = ("answer",)
    paper = "Liu et al., Residual Pattern Learning for Pixel-wise OOD Detection, ICCV 2023"

    pyramid: nn.Sequential
    corocl: PixelContrast

    def __init__(
        self,
        feature: str | None = None,
        width: int = 256,
        weight: float = 0.05,
        hold: float = 0.0,
        contrast: bool = False,
        contrast_weight: float = 0.01,
    ) -> None:
        super().__init__()
        if width < 1 or weight <= 0 or contrast_weight <= 0 or hold < 0:
            msg = (
                "rpl: `width`, `weight` and `contrast_weight` must be positive and `hold` not "
                f"negative, not {width}, {weight:g}, {contrast_weight:g} and {hold:g}."
            )
            raise OptionError(msg)
        self.feature = feature
        self.width, self.weight, self.hold = width, weight, hold
        self.contrast, self.contrast_weight = contrast, contrast_weight
        self.read = ""

    def options(self) -> dict[str, Any]:
        """Return the constructor options."""
        return {
            "feature": self.feature,
            "width": self.width,
            "weight": self.weight,
            "hold": self.hold,
            "contrast": self.contrast,
            "contrast_weight": self.contrast_weight,
        }

    def check_kind(self, segmenter: Segmenter) -> None:
        """Refuse a segmenter whose last layer cannot be asked alone, or gives no gradient, too.

        Raises:
            KindError: it cannot be read, or gradients do not pass.
            FeatureError: there is no such layer.
        """
        super().check_kind(segmenter)
        last_map(segmenter)
        if not segmenter.trainable:
            msg = (
                f"rpl learns through the last layer, and `{called(segmenter)}` passes no "
                "gradients: take the network that it was made from."
            )
            raise KindError(msg)

    def attach(self, segmenter: Segmenter) -> None:
        """Build the branch between the two maps."""
        self.read = last_map(segmenter)
        self.feature = self.feature or _coarsest(segmenter)
        inputs = segmenter.feature(self.feature).channels
        outputs = segmenter.feature(self.read).channels
        last = nn.Conv2d(self.width, outputs, 1)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)  # type: ignore[arg-type]
        self.pyramid = nn.Sequential(
            DeepLabPyramid(inputs, self.width, whole=False),
            nn.Conv2d(4 * self.width, self.width, 1, bias=False),
            nn.BatchNorm2d(self.width),
            nn.ReLU(),
            last,
        )
        if self.contrast:
            self.corocl = PixelContrast(outputs)

    @property
    def needs(self) -> tuple[str, ...]:
        """The map that the branch reads, and the one that it corrects."""
        names = (self.feature, self.read)
        return tuple(dict.fromkeys(name for name in names if name))

    def look(self, segmenter: Segmenter, image: Tensor) -> Segmentation:
        """Segment, and classify the corrected map as well."""
        found = segmenter(image, self.needs)
        target = found.features[self.read]
        residual = self.pyramid(found.features[self.needs[0]])
        if residual.shape[-2:] != target.shape[-2:]:
            residual = functional.interpolate(
                residual,
                size=target.shape[-2:],
                mode="bilinear",
                align_corners=found.align_corners,
            )
        logits = segmenter.classify(target + residual)
        return replace(found, features={**found.features, LOGITS: logits, RESIDUAL: residual})

    def loss(self, segmentation: Segmentation, batch: Batch) -> dict[str, Tensor]:
        """Return what holds the corrected logits on inliers, and what lowers them on negatives."""
        self.ready = True
        label = labels_at(batch.label, segmentation)
        inlier = is_inlier(label)
        logits = at_least_single(at_logits(segmentation.features[LOGITS], segmentation))
        frozen = at_least_single(segmentation.logits).detach()
        own = functional.cross_entropy(logits, frozen.argmax(1), reduction="none")
        apart = (entropy(logits.log_softmax(1)) - entropy(frozen.log_softmax(1))).square()
        evidence = logits.logsumexp(1)
        terms = {
            "class": masked_mean(own, inlier),
            "entropy": masked_mean(apart, inlier),
            "energy": self.weight * masked_mean(evidence.relu(), label == NEGATIVE),
        }
        if self.hold:
            moved = (evidence - frozen.logsumexp(1)).square()
            terms["hold"] = self.hold * masked_mean(moved, inlier)
        if self.contrast:
            residual = at_logits(segmentation.features[RESIDUAL], segmentation)
            terms["contrast"] = self.contrast_weight * self.corocl(residual, label).float()
        return terms

    def score(self, segmentation: Segmentation, image: Tensor) -> Tensor:
        """Return `-ln sum_k exp s_k` of the corrected logits, `(B, H, W)`."""
        return segmentation.to_image(self.native(segmentation, image))

    def native(self, segmentation: Segmentation, image: Tensor) -> Tensor:
        """Return the same on the grid of the last layer, `(B, h, w)`."""
        del image
        self.require()
        return -segmentation.features[LOGITS].float().logsumexp(1)

    def explain(self, segmentation: Segmentation, image: Tensor) -> dict[str, Tensor]:
        """Return the energy before the correction, and what the correction added."""
        before = -segmentation.logits.float().logsumexp(1)
        after = at_logits(self.native(segmentation, image)[:, None], segmentation)[:, 0]
        return {"energy of the frozen network": before, "added by the residual": after - before}


def _coarsest(segmenter: Segmenter) -> str:
    """Return the name of the map of the largest stride; of several, that of most channels."""
    known = segmenter.features
    return max(known, key=lambda name: (known[name].stride, known[name].channels))
