"""ObsNet: a second network watches the segmenter and says where it errs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from torch import Tensor
from torch.nn import functional

from roadanomaly.catalogue import called
from roadanomaly.detectors.base import Detector
from roadanomaly.detectors.errors.observer import Observer
from roadanomaly.detectors.losses import masked_mean
from roadanomaly.detectors.padding import grown_to
from roadanomaly.errors import FeatureError, OptionError, nearest
from roadanomaly.segmenters.base import Segmenter
from roadanomaly.segmenters.closed_set import labels_at
from roadanomaly.types import NEGATIVE, VOID, Batch, Segmentation, is_known

Void = Literal["ignore", "error"]
VOIDS: tuple[str, ...] = ("ignore", "error")


class ObsNet(Detector):
    """The logit of the probability that the segmenter's class is wrong.

    The observer reads the image and the segmenter's maps. Its target is `argmax_k s_k != label` on
    the images as the segmenter sees them, so a local attack (the source `laa`) shows it failures
    that ordinary frames do not hold; a negative has no right class, so the segmenter errs there.
    The loss is the binary cross-entropy in nats, of which an error's term counts `pos_weight`
    times.

    Args:
        features: the segmenter's maps that are read; None takes of each stride the last that it
            lists.
        width: channels of the observer at the finest map; coarser levels have up to 4 times that.
        pos_weight: of an error's term.
        void: `"ignore"` leaves void out; `"error"` counts it as an error, as published, which makes
            a void classifier of the observer. Void is what a set gives with `void: label`.

    Raises:
        OptionError: a value out of range.

    Source: Besnier, Bursuc, Picard, Briot, 2021, Triggering Failures: Out-Of-Distribution detection
    by learning from local adversarial attacks in Semantic Segmentation. Differs: any segmenter with
    feature maps; the observer is a small network of its own in place of a copy of the segmenter;
    the class probabilities enter too; padding never counts, and void does only where it is asked
    for; the score is the logit, which orders pixels as the published probability does and keeps its
    digits near 1.
    """

    kind = "train"
    accepts = ("logits", "evidence")
    paper = (
        "Besnier et al., Triggering Failures: Out-Of-Distribution detection by learning from "
        "local adversarial attacks in Semantic Segmentation, ICCV 2021"
    )

    observer: Observer

    def __init__(
        self,
        features: Sequence[str] | None = None,
        width: int = 32,
        pos_weight: float = 2.0,
        void: Void = "ignore",
    ) -> None:
        super().__init__()
        if width < 1:
            msg = f"obsnet: `width` is {width}; it must be at least 1."
            raise OptionError(msg)
        if not 0 < pos_weight < float("inf"):
            msg = f"obsnet: `pos_weight` is {pos_weight}; it must be a number above 0."
            raise OptionError(msg)
        if void not in VOIDS:
            msg = f"obsnet: `void` is {void!r}; {nearest(void, VOIDS)}"
            raise OptionError(msg)
        self.features = tuple(features) if features else ()
        self.width = width
        self.pos_weight = pos_weight
        self.void = void

    @property
    def supervision(self) -> str:  # type: ignore[override]
        """`"void"` where void counts as an error, `"negatives"` after training with a source."""
        if self.void == "error":
            return "void"
        return "negatives" if self.trained_on else "none"

    def options(self) -> dict[str, Any]:
        """Return the constructor options."""
        return {
            "features": list(self.features),
            "width": self.width,
            "pos_weight": self.pos_weight,
            "void": self.void,
        }

    def attach(self, segmenter: Segmenter) -> None:
        """Name the maps and build the observer.

        Raises:
            FeatureError: a map that the segmenter does not offer, or it offers none.
        """
        known = segmenter.features
        names = self.features or tuple({one.stride: name for name, one in known.items()}.values())
        if not names:
            msg = (
                f"obsnet watches a segmenter's feature maps, and `{called(segmenter)}` offers "
                "none: take a network with features, or a detector that reads its answers alone."
            )
            raise FeatureError(msg)
        self.features = tuple(sorted(names, key=lambda name: segmenter.feature(name).stride))
        channels = [segmenter.feature(name).channels for name in self.features]
        self.observer = Observer(channels, len(segmenter.classes), self.width)

    @property
    def needs(self) -> tuple[str, ...]:
        """The maps that are read."""
        return self.features

    def observe(self, segmentation: Segmentation, image: Tensor) -> Tensor:
        """Return the logit of an error on the logits' grid, `(B, h, w)` float32.

        Args:
            segmentation: what the segmenter said of `image`.
            image: `(B, 3, H, W)` float in 0..1.
        """
        covered = grown_to(image, segmentation.padded)
        maps = [segmentation.features[name] for name in self.features]
        probabilities = segmentation.class_logits(segmentation.logits).softmax(1)
        found = self.observer(covered, maps, probabilities).float()
        size = segmentation.logits.shape[-2:]
        if found.shape[-2:] == size:
            return found
        return functional.interpolate(
            found[:, None], size, mode="bilinear", align_corners=segmentation.align_corners
        )[:, 0]

    def errors(self, segmentation: Segmentation, label: Tensor) -> tuple[Tensor, Tensor]:
        """Return where the segmenter errs and what counts, both `(B, h, w)` bool.

        Args:
            segmentation: with the logits that are judged.
            label: `(B, H, W)` uint8, as of a batch.
        """
        true = labels_at(label, segmentation)
        counted = is_known(true) | (true == NEGATIVE)
        if self.void == "error":
            counted = counted | (true == VOID)
        return segmentation.logits.argmax(1) != true, counted

    def loss(self, segmentation: Segmentation, batch: Batch) -> dict[str, Tensor]:
        """Return the weighted binary cross-entropy, a mean over the pixels that count."""
        self.ready = True
        wrong, counted = self.errors(segmentation, batch.label)
        target = wrong.float()
        terms = functional.binary_cross_entropy_with_logits(
            self.observe(segmentation, batch.image), target, reduction="none"
        )
        weighted = terms * (1 + (self.pos_weight - 1) * target)
        return {"errors": masked_mean(weighted, counted)}

    def score(self, segmentation: Segmentation, image: Tensor) -> Tensor:
        """Return the logit of the error's probability, `(B, H, W)`."""
        return segmentation.to_image(self.native(segmentation, image))

    def native(self, segmentation: Segmentation, image: Tensor) -> Tensor:
        """Return the same on the logits' grid, `(B, h, w)`."""
        self.require()
        return self.observe(segmentation, image)

    def explain(self, segmentation: Segmentation, image: Tensor) -> dict[str, Tensor]:
        """Return the probability of an error, `(B, H, W)` in 0..1."""
        return {"predicted error": self.score(segmentation, image).sigmoid()}
