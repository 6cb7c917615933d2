"""What detectors that rebuild the road share: their options, the labels, the reconstruction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor

from roadanomaly.detectors.base import Detector
from roadanomaly.detectors.road.ground_labels import ClassNames, GroundLabels, listed
from roadanomaly.detectors.road.reconstruction import RoadReconstruction, nearest_feature
from roadanomaly.segmenters.base import Segmenter
from roadanomaly.types import Segmentation


@dataclass(frozen=True)
class RoadOptions:
    """The options that all of them have.

    Args:
        feature: the segmenter's map that is squeezed; None takes the widest of stride 16, or of
            the stride nearest to it.
        bottleneck: channels that the reconstruction has to pass.
        width: of each branch of the atrous pyramid before it.
        widths: of the decoder's blocks, from stride 8 to stride 1.
        normal: classes of the ground, by name or index; None takes road, sidewalk and pavement.
        ignored: classes that count for nothing; None takes building, sky and guard rail.
    """

    feature: str | None
    bottleneck: int
    width: int
    widths: Sequence[int]
    normal: ClassNames | None
    ignored: ClassNames | None

    @property
    def least(self) -> int:
        """The smallest of the sizes, which must be at least 1."""
        return min(self.bottleneck, self.width, *self.widths, len(self.widths))


class RoadDetector(Detector):
    """Squeezes a feature of the segmenter and rebuilds the image from it, as far as it is road.

    Args:
        plan: the options, checked by the subclass.
    """

    kind = "train"
    supervision = "negatives"
    accepts = ("logits", "evidence")
    region = "road"

    labels: GroundLabels
    reconstruction: RoadReconstruction

    def __init__(self, plan: RoadOptions) -> None:
        super().__init__()
        self.plan = plan
        self.feature = plan.feature

    def options(self) -> dict[str, Any]:
        """Return the constructor options."""
        return {
            **asdict(self.plan),
            "feature": self.feature,
            "widths": list(self.plan.widths),
            "normal": listed(self.plan.normal),
            "ignored": listed(self.plan.ignored),
        }

    def attach(self, segmenter: Segmenter) -> None:
        """Name the feature and build the reconstruction.

        Raises:
            OptionError: a class that there is not, or a network without road.
        """
        plan = self.plan
        self.labels = GroundLabels(segmenter.classes, plan.normal, plan.ignored)
        self.feature = self.feature or nearest_feature(segmenter)
        info = segmenter.feature(self.feature)
        self.reconstruction = RoadReconstruction(
            info.channels, info.stride, plan.bottleneck, plan.width, plan.widths
        )

    @property
    def needs(self) -> tuple[str, ...]:
        """The map that is squeezed."""
        return (self.feature,) if self.feature else ()

    def squeezed(self, segmentation: Segmentation) -> Tensor:
        """Return that map, `(B, C, h, w)`."""
        assert self.feature is not None
        return segmentation.features[self.feature]

    def reconstruct(self, segmentation: Segmentation) -> Tensor:
        """Return the reconstruction at image size, `(B, 3, H, W)` in 0..1."""
        return segmentation.to_image(self.reconstruction(self.squeezed(segmentation)))
