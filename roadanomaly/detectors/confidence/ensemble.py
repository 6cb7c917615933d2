"""Ensemble: several networks of the same classes judge an image together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from roadanomaly.data.class_names import difference
from roadanomaly.detectors.base import Ask, Detector
from roadanomaly.detectors.confidence.disagreement import (
    MEASURES,
    Disagreement,
    explained,
    measured,
)
from roadanomaly.detectors.confidence.member import read_member
from roadanomaly.detectors.supervision import foremost
from roadanomaly.errors import ClassesError, OptionError, make_all, nearest
from roadanomaly.segmenters.base import Segmenter
from roadanomaly.types import Segmentation

ScoreBy = Literal["entropy", "mutual_information", "variance", "scores"]
WAYS: tuple[str, ...] = (*MEASURES, "scores")

MEAN_SCORE = "mean_score"
"""Feature: mean of the members' scores, `(B, 1, H, W)`."""


class Ensemble(Detector):
    """The mean of the members' class probabilities and a score of it, or the mean of their scores.

    Args:
        members: one or more, each `{run: FOLDER}`, a saved model with its weights; or
            `{segmenter: {name: ..., option: ...}, detector: {...}}`, a network by its description.
            The first is the model's own segmenter: give its run, or leave `segmenter` out. On the
            command line `--detector.members '[{run: A}, {run: B}]'`. The weights become part of
            this detector: the folders are not needed afterwards.
        score_by: `entropy` of the mean distribution; `mutual_information`, what of it is
            disagreement; `variance` of the class probabilities, summed over the classes; `scores`,
            the mean of the members' scores.
        detector: what scores each member for `scores`; None takes the member's own.

    Raises:
        OptionError: no member, or one that is described otherwise.
        DataError: no model lies at a `run`, or the first is of another network than the model's.
        ClassesError: a member has other classes.

    Source: Lakshminarayanan et al., 2017, section 2.4: `p = mean_m p_m`, whose entropy is the
    score; members differ by their seeds. Mutual information `H(mean_m p_m) - mean_m H(p_m)` as
    Depeweg et al., 2018, part uncertainty. Differs from the paper: members need no adversarial
    training. Mean scores are of one scale only where the members follow one recipe.
    """

    kind = "posthoc"
    accepts = ("logits", "evidence", "masks")
    asks: ClassVar[tuple[Ask, ...]] = ("passes",)
    paper = "Lakshminarayanan et al., Predictive Uncertainty Estimation using Deep Ensembles, 2017"

    def __init__(
        self,
        members: Sequence[Mapping[str, Any]],
        score_by: ScoreBy = "entropy",
        detector: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if score_by not in WAYS:
            msg = f"ensemble: `score_by` {score_by!r} is unknown; {nearest(score_by, WAYS)}"
            raise OptionError(msg)
        if not members:
            msg = "ensemble: `members` names none; give the runs, the model's own first."
            raise OptionError(msg)
        if detector is not None and score_by != "scores":
            msg = f"ensemble: `detector` is read by `score_by: scores` alone, not by {score_by!r}."
            raise OptionError(msg)
        self.score_by = score_by
        self.detector = None if detector is None else dict(detector)
        scored = score_by == "scores"
        self.members = make_all(
            lambda n: read_member(members[n], self.detector, first=not n, scored=scored),
            range(len(members)),
        )
        asked: list[Ask] = ["passes"]
        for one in self.members:
            asked += one.head.detector.asks if one.head else ()
        self.asks = tuple(dict.fromkeys(asked))  # type: ignore[misc]
        heads = [one.head for one in self.members]
        if all(one is not None and one.detector.region == "road" for one in heads):
            self.region = "road"  # type: ignore[misc]
        self.networks = nn.ModuleList(one.parts for one in self.members)

    def options(self) -> dict[str, Any]:
        """Return the constructor options; the members' weights are among this detector's."""
        return {
            "members": [one.describe() for one in self.members],
            "score_by": self.score_by,
            "detector": self.detector,
        }

    @property
    def supervision(self) -> str:  # type: ignore[override]
        """What the members learned from."""
        return foremost(one.supervision for one in self.members)

    @property
    def learned_from(self) -> str:
        """The same: negatives in the frames of a fit hide nothing of what members learned from."""
        return self.supervision

    def check_kind(self, segmenter: Segmenter) -> None:
        """Refuse a segmenter of other classes than a member, or one that a head cannot read.

        Raises:
            ClassesError: names the member.
            KindError: as the head says.
        """
        super().check_kind(segmenter)
        for number, one in enumerate(self.members, 1):
            own = one.segmenter or segmenter
            who = f"ensemble: member {number}"
            if differs := difference(who, own.classes, "the model", segmenter.classes):
                msg = f"{differs}. Members are averaged class by class: take networks of the same."
                raise ClassesError(msg)
            if one.head is not None:
                one.head.detector.check_kind(own)

    def attach(self, segmenter: Segmenter) -> None:
        """Put the members' heads on their networks, and load the weights of saved ones."""
        for one in self.members:
            one.attach(segmenter)
        self.requires_grad_(False)

    def look(self, segmenter: Segmenter, image: Tensor) -> Segmentation:
        """Ask every member; return the mean distribution, with what `score` reads beside it.

        While the segmenter is trained, one plain pass of it.
        """
        if self.training:
            return segmenter(image)
        scores: list[Tensor] = []
        size = (image.shape[-2], image.shape[-1])
        found = Disagreement.of(self._answers(segmenter, image, scores)).as_segmentation(size)
        if scores:
            found.features[MEAN_SCORE] = torch.stack(scores).mean(0)[:, None]
        return found

    def _answers(
        self, segmenter: Segmenter, image: Tensor, scores: list[Tensor]
    ) -> Iterator[Segmentation]:
        """Yield what each member says of the images, and keep its score where there is one."""
        for one in self.members:
            network = one.segmenter or segmenter
            if one.head is None:
                yield network(image)
                continue
            seen = one.head.look(network, image)
            scores.append(one.head.score(seen, image).detach())
            yield seen if seen.logits.shape[1] else network(image)

    def reset(self) -> None:
        """Let the members' detectors forget earlier frames."""
        for one in self.members:
            if one.head is not None:
                one.head.detector.reset()

    def score(self, segmentation: Segmentation, image: Tensor) -> Tensor:
        """Return what `score_by` names, `(B, H, W)`."""
        if self.score_by == "scores":
            return segmentation.features[MEAN_SCORE][:, 0].float()
        return measured(segmentation, self.score_by)

    def explain(self, segmentation: Segmentation, image: Tensor) -> dict[str, Tensor]:
        """Return entropies of the mean and of the members, and the mutual information."""
        return explained(segmentation)
