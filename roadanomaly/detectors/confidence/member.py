"""A member of an ensemble: a network with what scores it, from a run or by description."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from roadanomaly.detectors.head import Head
from roadanomaly.detectors.saved_head import SavedHead, named_run
from roadanomaly.detectors.supervision import foremost
from roadanomaly.errors import DataError, OptionError
from roadanomaly.segmenters import SEGMENTERS
from roadanomaly.segmenters.base import Segmenter

KEYS = {"segmenter", "learned_from", "detector", "refiners", "trained_on"}


@dataclass
class Member:
    """One network of an ensemble.

    Args:
        segmenter: its network; None for the model's own.
        head: what scores it; None where nothing does.
        saved: the run that it comes from, until it is attached.
        fills: whether the head is that run's own, with its weights.
    """

    segmenter: Segmenter | None
    head: Head | None
    saved: SavedHead | None = None
    fills: bool = False

    @property
    def parts(self) -> nn.Module:
        """What is saved of it."""
        parts = nn.ModuleDict()
        if self.segmenter is not None:
            parts["segmenter"] = self.segmenter
        if self.head is not None:
            parts["head"] = self.head.networks
        return parts

    @property
    def supervision(self) -> str:
        """What network and head learned from beside inlier classes."""
        found = [self.head.learned_from] if self.head else []
        if self.segmenter is not None:
            found.append(self.segmenter.learned_from)
        return foremost(found)

    def describe(self) -> dict[str, Any]:
        """Return what `read_member` rebuilds it from, weights aside."""
        told: dict[str, Any] = {}
        if self.segmenter is not None:
            name = SEGMENTERS.name_of(self.segmenter)
            told["segmenter"] = {"name": name, **self.segmenter.options()}
            told["learned_from"] = self.segmenter.learned_from
        if self.head is not None:
            told |= {**self.head.describe(), "trained_on": self.head.detector.trained_on}
        return told

    def attach(self, segmenter: Segmenter) -> None:
        """Put the head on its network and load the weights of a saved member.

        Args:
            segmenter: the model's own.

        Raises:
            DataError: the saved member is to be the model's own network, and is another.
        """
        if self.saved is not None and self.segmenter is None and not self.saved.is_of(segmenter):
            msg = (
                f"ensemble: the first member, {self.saved.folder}, is not the model's own network; "
                "build the ensemble on it, as with `roadanomaly fit --run` and that folder."
            )
            raise DataError(msg)
        if self.head is not None:
            self.head.attach(self.segmenter or segmenter)
            if self.saved is not None and self.fills:
                self.saved.fill(self.head)
        self.saved = None


def read_member(
    spec: Mapping[str, Any], detector: Mapping[str, Any] | None, *, first: bool, scored: bool
) -> Member:
    """Build a member from what an ensemble's options say of it.

    Args:
        spec: `{run: FOLDER}`, or a description.
        detector: scores it in place of its own.
        first: it is the model's own network.
        scored: its score is asked for.

    Raises:
        OptionError: it is described otherwise, or lacks a detector where its score is asked for.
        DataError: no model lies at the run.
    """
    saved = named_run(spec, "ensemble")
    if saved is not None:
        return _saved_member(saved, detector, first=first, scored=scored)
    if set(spec) - KEYS:
        msg = (
            "ensemble: a member is `{run: FOLDER}` or `{segmenter: {name: ...}, detector: {name: "
            f"...}}}}`, not {dict(spec)}."
        )
        raise OptionError(msg)
    segmenter = SEGMENTERS.from_spec(spec["segmenter"]) if spec.get("segmenter") else None
    if segmenter is not None:
        segmenter.learned_from = spec.get("learned_from", "none")
    if not scored:
        return Member(segmenter, None)
    if detector is None and "detector" not in spec:
        msg = (
            "ensemble: `score_by: scores` needs to know what scores a member: give it a "
            "`detector`, or all members one by the option `detector`."
        )
        raise OptionError(msg)
    told = spec if detector is None else {"detector": detector}
    head = Head.from_description(told)
    head.detector.trained_on = spec.get("trained_on")
    return Member(segmenter, head)


def _saved_member(
    saved: SavedHead, detector: Mapping[str, Any] | None, *, first: bool, scored: bool
) -> Member:
    segmenter = None if first else saved.build_segmenter()
    if not scored:
        return Member(segmenter, None, saved)
    head = saved.build() if detector is None else Head.from_description({"detector": detector})
    return Member(segmenter, head, saved, fills=detector is None)
