"""Views: the mean of a head's scores of an image, its mirror image, and both at other sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from roadanomaly.catalogue import called
from roadanomaly.detectors.base import Ask, Detector
from roadanomaly.detectors.head import Head
from roadanomaly.detectors.resynthesis.sizes import resize_image
from roadanomaly.detectors.saved_head import head_of
from roadanomaly.errors import KindError, OptionError
from roadanomaly.segmenters.base import Segmenter
from roadanomaly.types import Segmentation

OTHERS = "views.others"
"""Name of the maps with the scores of the other views, already brought back to the image."""

SCALES = (0.1, 4.0)
"""Smallest and largest size of a view."""


class Views(Detector):
    """Mean of what a head says of an image and of other views of it, at the cost of all.

    The whole head is asked each time, its refiners included, and may itself ask for several passes
    or for gradients. The classes are those of the image as it stands.

    Args:
        head: `{run: FOLDER}`, the head of a saved model with its weights, on the command line
            `--detector.head.run FOLDER`; or `{detector: {name: ..., option: ...}, refiners:
            [...]}`, one that needs no preparation: `--detector.head '{detector: {name: energy}}'`.
            The weights become part of this detector: the folder is not needed afterwards.
        mirror: ask of the mirror image too, at each size.
        scales: further sizes, as shares of the image's own, 0.1 to 4; its own is always among them.

    Raises:
        OptionError: a head that is described otherwise or has views of its own, a size out of
            range, or no other view.
        DataError: no model lies at `run`.
        KindError: a head that keeps something from frame to frame, which other views disturb.

    Not a method of its own: Rai et al., Mask2Anomaly, 2023, score with the mirror image, and
    test-time augmentation by flips and sizes is older than that.
    """

    kind = "posthoc"
    paper = "Mean over views of the image, as Rai et al., Mask2Anomaly, ICCV 2023"

    asks: tuple[Ask, ...] = ("passes",)  # type: ignore[misc]

    def __init__(
        self, head: Mapping[str, Any], mirror: bool = True, scales: Sequence[float] = ()
    ) -> None:
        super().__init__()
        _check_scales(scales, mirror)
        self.mirror, self.scales = mirror, tuple(scales)
        self.head, self.saved = head_of(head, "views")
        inner = self.head.detector
        if isinstance(inner, Views):
            msg = (
                "views: the head's own detector is `views`, and views of views are more views of "
                "one head: give the head that is inside, and all sizes in `scales`."
            )
            raise OptionError(msg)
        if "state" in inner.asks:
            msg = (
                f"views cannot ask `{called(inner)}` twice: it keeps something from frame to "
                "frame, and another view would disturb that."
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
        return {
            "head": {**self.head.describe(), "trained_on": trained_on},
            "mirror": self.mirror,
            "scales": list(self.scales),
        }

    @property
    def supervision(self) -> str:  # type: ignore[override]
        """What the head learned from."""
        return self.head.learned_from

    @property
    def learned_from(self) -> str:
        """The same: negatives in the frames of a fit hide nothing of what the head learned from."""
        return self.supervision

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
            self.saved.continue_in(self.head, segmenter, "views")
        self.saved = None

    @property
    def needs(self) -> tuple[str, ...]:
        """The head's maps."""
        return self.head.needs

    @property
    def others(self) -> list[tuple[float, bool]]:
        """Size and mirroring of each view but the image itself."""
        turns = (False, True) if self.mirror else (False,)
        return [(scale, turned) for scale in (1.0, *self.scales) for turned in turns][1:]

    def look(self, segmenter: Segmenter, image: Tensor) -> Segmentation:
        """Ask the head of all, and put the other views' scores beside the features."""
        others = [score_of_view(self.head, segmenter, image, *view) for view in self.others]
        found = self.head.look(segmenter, image)
        return replace(found, features={**found.features, OTHERS: torch.stack(others, 1)})

    def score(self, segmentation: Segmentation, image: Tensor) -> Tensor:
        """Return the mean of all, `(B, H, W)`; `segmentation` is what `look` returned."""
        others = segmentation.features[OTHERS].float()
        own = self.head.score(segmentation, image)
        return (own + others.sum(1)) / (1 + others.shape[1])

    @property
    def explains(self) -> bool:
        """All scores are shown."""
        return True

    def explain(self, segmentation: Segmentation, image: Tensor) -> dict[str, Tensor]:
        """Return each view's score, and what the head shows of the image as it stands."""
        maps = segmentation.features[OTHERS].unbind(1)
        return {
            "as it stands": self.head.score(segmentation, image),
            **{_title(*view): one for view, one in zip(self.others, maps, strict=True)},
            **self.head.detector.explain(segmentation, image),
        }


def score_of_view(
    head: Head, segmenter: Segmenter, image: Tensor, scale: float, mirrored: bool
) -> Tensor:
    """Score a view of an image `(B, 3, H, W)`, and bring the score back to it, `(B, H, W)`.

    Args:
        head: attached to the segmenter.
        segmenter: of the head.
        image: in 0..1.
        scale: size of the view, as a share of the image's own.
        mirrored: whether left and right change places in the view.
    """
    height, width = image.shape[-2:]
    view = resize_image(image, (max(1, round(scale * height)), max(1, round(scale * width))))
    view = view.flip(-1) if mirrored else view
    score = head.score(head.look(segmenter, view), view)
    score = score.flip(-1) if mirrored else score
    return resize_image(score[:, None], (height, width))[:, 0]


def _check_scales(scales: Sequence[float], mirror: bool) -> None:
    low, high = SCALES
    for scale in scales:
        if not low <= scale <= high or scale == 1:
            msg = (
                f"views: a size of `scales` is {scale:g}; give shares of the image's own from "
                f"{low:g} to {high:g}, without 1, which is always among them."
            )
            raise OptionError(msg)
    if not scales and not mirror:
        msg = "views: there is no other view; set `mirror` or give `scales`."
        raise OptionError(msg)


def _title(scale: float, turned: bool) -> str:
    words = [*(["mirrored"] if turned else []), *([f"at {scale:g}"] if scale != 1 else [])]
    return " ".join(words)
