"""Fusion: several heads judge one pass of one segmenter, and their scores are joined."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from roadanomaly.catalogue import called
from roadanomaly.detectors.base import Detector, Pass
from roadanomaly.detectors.feature_bank import FeatureBank
from roadanomaly.detectors.head import Head
from roadanomaly.detectors.saved_head import head_of
from roadanomaly.detectors.scale import RarityScale
from roadanomaly.detectors.supervision import foremost
from roadanomaly.errors import DataError, KindError, OptionError, make_all, nearest
from roadanomaly.logistic import regress
from roadanomaly.segmenters.base import Segmenter
from roadanomaly.types import NEGATIVE, Answer, Batch, Segmentation, is_inlier

Rule = Literal["max", "mean", "learned"]
RULES: tuple[str, ...] = ("max", "mean", "learned")

PIXELS = 500_000
"""Pixels of either kind that scales and weights are fitted on, at most."""

PER_FRAME = 20_000
"""Of these, drawn from one frame."""


class Fusion(Detector):
    """Joins the scores of several heads, each brought to its rarity among inlier pixels.

    A head's score becomes `-log10` of the share of inlier pixels that score at least as high
    (`RarityScale`), which is one scale for all. `max` takes the largest, `mean` the mean, `learned`
    a weighted sum: logistic regression of inlier pixels against negatives, both counting alike.

    All heads read the same pass of the network, so the cost is one segmenter and each head once.

    Args:
        heads: two or more, each a mapping: `{run: FOLDER}`, the head of a saved model with its
            weights; or `{detector: {name: ..., option: ...}, refiners: [...]}`, one that needs no
            preparation; on the command line `--detector.heads '[{run: A}, {run: B}]'`. The weights
            become part of this detector: the folders are not needed afterwards.
        rule: `max`, `mean` or `learned`.

    Raises:
        OptionError: fewer than two heads, or one that is described otherwise.
        DataError: no model lies at a `run`.
        KindError: a head that asks more of the network than one pass.

    Fitted by `roadanomaly fit` on inlier frames, for `learned` with negatives in them; both should
    be frames that no head was trained on. Not a published method: the parts are (calibration by
    rarity as in Song et al., PixelDefend, ICLR 2018; stacking by Wolpert, 1992).
    """

    kind = "fit"
    fit_passes = (Pass("scale"),)
    paper = "Several heads, scaled by the rarity of their scores among inliers"

    weights: Tensor
    bias: Tensor

    def __init__(self, heads: Sequence[Mapping[str, Any]], rule: Rule = "mean") -> None:
        super().__init__()
        if rule not in RULES:
            msg = f"fusion: `rule` {rule!r} is unknown; {nearest(rule, RULES)}"
            raise OptionError(msg)
        if len(heads) < 2:
            msg = f"fusion: `heads` names {len(heads)}, and it takes two to join."
            raise OptionError(msg)
        self.rule = rule
        built = make_all(lambda one: head_of(one, "fusion"), heads)
        self.heads = [head for head, _ in built]
        self.saved = [saved for _, saved in built]
        for head in self.heads:
            _require_one_pass(head)
        self.accepts = _read_by_all(self.heads)  # type: ignore[misc]
        if all(head.detector.region == "road" for head in self.heads):
            self.region = "road"  # type: ignore[misc]
        self.parts = nn.ModuleList(head.networks for head in self.heads)
        self.scales = nn.ModuleList(RarityScale() for _ in self.heads)
        self.register_buffer("weights", torch.full((len(self.heads),), 1 / len(self.heads)))
        self.register_buffer("bias", torch.zeros(()))
        self.inliers = FeatureBank(PIXELS, saved=False)
        self.strange = FeatureBank(PIXELS, saved=False)

    def options(self) -> dict[str, Any]:
        """Return the constructor options; the heads' weights are among this detector's."""
        heads = [{**one.describe(), "trained_on": one.detector.trained_on} for one in self.heads]
        return {"heads": heads, "rule": self.rule}

    @property
    def supervision(self) -> str:  # type: ignore[override]
        """What the heads learned from, or the weights."""
        own = (self.trained_on or "negatives") if self.rule == "learned" else "none"
        return foremost([own, *(head.learned_from for head in self.heads)])

    @property
    def learned_from(self) -> str:
        """The same: what the weights were fitted on does not hide what a head learned from."""
        return self.supervision

    def attach(self, segmenter: Segmenter) -> None:
        """Put every head on the segmenter, and load the weights of saved ones."""
        for head, saved in zip(self.heads, self.saved, strict=True):
            head.attach(segmenter)
            if saved is not None:
                saved.continue_in(head, segmenter, "fusion")
        self.saved = [None for _ in self.heads]

    def check_kind(self, segmenter: Segmenter) -> None:
        """Refuse a segmenter that one of the heads cannot read.

        Raises:
            KindError: as the head says.
        """
        for head in self.heads:
            head.detector.check_kind(segmenter)

    @property
    def needs(self) -> tuple[str, ...]:
        """The maps of all heads, each once."""
        return tuple(dict.fromkeys(need for head in self.heads for need in head.needs))

    def raw(self, segmentation: Segmentation, image: Tensor) -> Tensor:
        """Return each head's own score, `(B, H, W, heads)`; arguments as `score`."""
        return torch.stack([head.score(segmentation, image) for head in self.heads], -1)

    def begin(self, name: str) -> None:
        """Start with no scores."""
        super().begin(name)
        self.inliers.clear()
        self.strange.clear()

    def update(self, segmentation: Segmentation, batch: Batch, name: str) -> None:
        """Draw scores of inlier pixels, and of negatives where there are any."""
        del name
        scores = self.raw(segmentation, batch.image)
        self.inliers.add(_drawn(scores, is_inlier(batch.label)))
        self.strange.add(_drawn(scores, batch.label == NEGATIVE))

    def finish(self, name: str) -> None:
        """Set the scale of each head, and the weights if they are learned."""
        del name
        rows = self.inliers.rows
        if len(rows) < 2:
            msg = "fusion: the frames show no inlier pixel; fit on labelled or ordinary frames."
            raise DataError(msg)
        for scale, scores in zip(self.scales, rows.unbind(1), strict=True):
            assert isinstance(scale, RarityScale)
            scale.fit(scores)
        if self.rule == "learned":
            self._weigh()
        self.inliers.clear()
        self.strange.clear()
        self.ready = True

    def _weigh(self) -> None:
        if not len(self.strange):
            msg = (
                "fusion: `rule: learned` needs negatives in the frames that it is fitted on: put "
                "some in with `--negatives.name paste ...`, or take `mean` or `max`."
            )
            raise DataError(msg)
        inliers, strange = (self._scaled(bank.rows) for bank in (self.inliers, self.strange))
        weights, bias = regress(inliers, strange)
        self.weights.copy_(weights)
        self.bias.copy_(bias)

    def score(self, segmentation: Segmentation, image: Tensor) -> Tensor:
        """Return the joined rarities, `(B, H, W)`."""
        self.require()
        rarity = self._scaled(self.raw(segmentation, image))
        if self.rule == "max":
            return rarity.amax(-1)
        return (rarity * self.weights).sum(-1) + self.bias

    def explain(self, segmentation: Segmentation, image: Tensor) -> dict[str, Tensor]:
        """Return the rarity that each head gives, named by its detector."""
        self.require()
        rarity = self._scaled(self.raw(segmentation, image)).unbind(-1)
        names = [called(head.detector) for head in self.heads]
        return {f"{number + 1} {names[number]}": one for number, one in enumerate(rarity)}

    def _scaled(self, scores: Tensor) -> Tensor:
        """Map scores `(..., heads)` to rarities of the same shape."""
        pairs = zip(self.scales, scores.unbind(-1), strict=True)
        return torch.stack([scale(one) for scale, one in pairs], -1)


def _read_by_all(heads: Sequence[Head]) -> tuple[Answer, ...]:
    """Return what every head can read of a segmenter."""
    return tuple(
        one for one in get_args(Answer) if all(one in head.detector.accepts for head in heads)
    )


def _require_one_pass(head: Head) -> None:
    if not head.shares_pass:
        name = called(head.detector)
        msg = f"fusion joins heads that read one plain pass of the network, and `{name}` asks more."
        raise KindError(msg)


def _drawn(scores: Tensor, where: Tensor) -> Tensor:
    """Draw rows of `(B, H, W, heads)` scores where a mask holds, of each image alike."""
    found = []
    for one, mask in zip(scores, where, strict=True):
        rows = one[mask]
        found.append(rows[torch.randperm(len(rows))[:PER_FRAME].to(rows.device)])
    return torch.cat(found)
