"""Flips: the mean of a head's scores of an image and of its mirror image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from roadanomaly.detectors.base import Ask, Detector
from roadanomaly.detectors.saved_head import described_head, read_head
from roadanomaly.errors import KindError
from roadanomaly.segmenters.base import Segmenter
from roadanomaly.types import Segmentation

MIRRORED = "flips.mirrored"
"""Name of the map with the score of the mirror image, already turned back."""


class Flips(Detector):
    """Mean of what a head says of an image and of its mirror image, at the cost of both.

    The whole head is asked twice, its refiners included, and may itself ask for several passes or
    for gradients. The classes are those of the image as it stands.

    Args:
        head: `{run: FOLDER}`, the head of a saved model with its weights; or `{detector: {name:
            ..., option: ...}, refiners: [...]}`, one that needs no preparation. The weights become
            part of this detector: the folder is not needed afterwards.

    Raises:
        OptionError: a head that is described otherwise.
        DataError: no model lies at `run`.
        KindError: a head that keeps something from frame to frame, which a mirror image disturbs.

    Not a method of its own: Rai et al., Mask2Anomaly, 2023, score with it, and test-time
    augmentation by flips is older than that.
    """

    kind = "posthoc"
    paper = "Mean over the image and its mirror image, as Rai et al., Mask2Anomaly, ICCV 2023"

    asks: tuple[Ask, ...] = ("passes",)  # type: ignore[misc]

    def __init__(self, head: Mapping[str, Any]) -> None:
        super().__init__()
        self.saved = read_head(head["run"]) if "run" in head else None
        self.head = self.saved.build() if self.saved else described_head(head, "flips")
        inner = self.head.detector
        if "state" in inner.asks:
            msg = (
                f"flips cannot ask {type(inner).__name__} twice: it keeps something from frame to "
                "frame, and a mirror image would disturb that."
            )
            raise KindError(msg)
        self.asks = ("passes", *(one for one in inner.asks if one != "passes"))
        self.accepts = inner.accepts  # type: ignore[misc]
        self.region = inner.region  # type: ignore[misc]
        self.reads_segmentation = inner.reads_segmentation  # type: ignore[misc]
        self.parts = nn.ModuleList([self.head.networks])

    def options(self) -> dict[str, Any]:
        """Return the constructor options; the head's weights are among this detector's."""
        trained_on = self.head.detector.trained_on
        return {"head": {**self.head.describe(), "trained_on": trained_on}}

    @property
    def supervision(self) -> str:  # type: ignore[override]
        """What the head learned from."""
        return self.head.learned_from

    def check_kind(self, segmenter: Segmenter) -> None:
        """Refuse a segmenter that the head cannot read.

        Raises:
            KindError: as the head says.
        """
        self.head.detector.check_kind(segmenter)

    def attach(self, segmenter: Segmenter) -> None:
        """Put the head on the segmenter, and load its weights where it was saved."""
        self.head.attach(segmenter)
        if self.saved is not None:
            self.saved.continue_in(self.head, segmenter, "flips")
        self.saved = None

    @property
    def needs(self) -> tuple[str, ...]:
        """The head's maps."""
        return self.head.needs

    def look(self, segmenter: Segmenter, image: Tensor) -> Segmentation:
        """Ask the head of both, and put the score of the mirror image beside the features."""
        turned = image.flip(-1)
        mirrored = self.head.score(self.head.look(segmenter, turned), turned).flip(-1)
        found = self.head.look(segmenter, image)
        return replace(found, features={**found.features, MIRRORED: mirrored[:, None]})

    def score(self, segmentation: Segmentation, image: Tensor) -> Tensor:
        """Return the mean of both, `(B, H, W)`; `segmentation` is what `look` returned."""
        mirrored = segmentation.features[MIRRORED][:, 0].float()
        return (self.head.score(segmentation, image) + mirrored) / 2

    @property
    def explains(self) -> bool:
        """Both scores are shown."""
        return True

    def explain(self, segmentation: Segmentation, image: Tensor) -> dict[str, Tensor]:
        """Return both scores, and what the head's detector shows of the image as it stands."""
        return {
            "as it stands": self.head.score(segmentation, image),
            "mirrored": segmentation.features[MIRRORED][:, 0],
            **self.head.detector.explain(segmentation, image),
        }
