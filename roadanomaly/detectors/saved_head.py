"""The head of a saved model: its detector and refiners, to be put on a segmenter again.

Its network can be built beside it, for who takes the whole model.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from roadanomaly.calibration import Calibration
from roadanomaly.detectors.head import Head
from roadanomaly.errors import DataError, OptionError
from roadanomaly.formats import upgrade_model
from roadanomaly.saved_model import read_saved
from roadanomaly.segmenters import SEGMENTERS, Segmenter

log = logging.getLogger(__name__)
SEGMENTER = "segmenter."
"""Begins the names of a network's weights in a saved model."""


@dataclass(frozen=True)
class SavedHead:
    """What a model's folder holds of its head.

    Args:
        folder: for messages.
        description: of detector and refiners, as `Head.describe`.
        weights: of the whole model, by name.
        calibration: of the model, or None.
        trained_on: content of the negatives that its training showed, or None.
        segmenter: description of the model's network.
        segmenter_learned_from: as `Segmenter.learned_from`.
    """

    folder: Path
    description: dict[str, Any]
    weights: dict[str, Tensor]
    calibration: Calibration | None
    trained_on: str | None
    segmenter: dict[str, Any]
    segmenter_learned_from: str

    def build(self) -> Head:
        """Return the head, without weights before it is attached."""
        head = Head.from_description(self.description)
        head.detector.trained_on = self.trained_on
        return head

    def build_segmenter(self) -> Segmenter:
        """Return the model's network with its weights.

        Raises:
            DataError: they do not fit its description.
        """
        segmenter = SEGMENTERS.from_spec(self.segmenter)
        segmenter.learned_from = self.segmenter_learned_from
        try:
            segmenter.load_state_dict(self._weights_of_segmenter())
        except RuntimeError as error:
            reason = str(error).splitlines()[-1].strip()
            msg = f"the network saved in {self.folder} is broken ({reason}); train it again."
            raise DataError(msg) from error
        return segmenter.eval()

    def _weights_of_segmenter(self) -> dict[str, Tensor]:
        named = self.weights.items()
        return {k.removeprefix(SEGMENTER): v for k, v in named if k.startswith(SEGMENTER)}

    def continue_in(self, head: Head, segmenter: Segmenter, detector: str) -> None:
        """Fill a head that was attached to a segmenter, and warn if that is another than its own.

        Args:
            head: as `build` returned it.
            segmenter: that it is on.
            detector: that holds the head, for the message.
        """
        self.fill(head)
        if not self.is_of(segmenter):
            log.warning(
                "%s: the head of %s was saved with another segmenter's weights; on this one "
                "its scores may mean something else.",
                detector,
                self.folder,
            )

    def fill(self, head: Head) -> None:
        """Load the weights into a head that was attached.

        Raises:
            DataError: they do not fit what the segmenter offers.
        """
        parts = ("detector.", "refiners.") if head.refiners else ("detector.",)
        own = {key: one for key, one in self.weights.items() if key.startswith(parts)}
        if not head.refiners:
            own = {key.removeprefix("detector."): one for key, one in own.items()}
        try:
            head.networks.load_state_dict(own)
        except RuntimeError as error:
            reason = str(error).splitlines()[-1].strip()
            msg = (
                f"the head saved in {self.folder} does not fit this segmenter ({reason}); take "
                "the segmenter that it was trained on."
            )
            raise DataError(msg) from error

    def is_of(self, segmenter: Segmenter) -> bool:
        """Whether it was saved with a segmenter of exactly these weights."""
        state = segmenter.state_dict()
        saved = self._weights_of_segmenter()
        same = all(k in state and state[k].cpu().equal(v) for k, v in saved.items())
        return same and len(saved) == len(state)


def read_head(folder: str | Path) -> SavedHead:
    """Read the head of a model that `Model.save` wrote; a run folder works too.

    Raises:
        DataError: no model there, or a broken one.
    """
    path, description, weights = read_saved(folder)
    try:
        description, weights = upgrade_model(description, weights)
        saved = description["calibration"]
        return SavedHead(
            path,
            {key: description[key] for key in ("detector", "refiners")},
            weights,
            Calibration.from_dict(saved) if saved else None,
            description.get("detector_trained_on"),
            description["segmenter"],
            description["segmenter_learned_from"],
        )
    except (ValueError, KeyError, TypeError) as error:
        msg = f"no head can be read from {folder}: {error}. Train it again, or take another run."
        raise DataError(msg) from error


def head_of(spec: Mapping[str, Any], part: str) -> tuple[Head, SavedHead | None]:
    """Build the head that a detector's options name, and return the saved one that it is of.

    Args:
        spec: `{run: FOLDER}`, or a description; see `described_head`.
        part: the detector that holds the head, for messages.

    Raises:
        OptionError: it is described otherwise.
        DataError: no model lies at the run.
    """
    saved = named_run(spec, part)
    return (saved.build(), saved) if saved else (described_head(spec, part), None)


def named_run(spec: Mapping[str, Any], part: str) -> SavedHead | None:
    """Read the saved model that a spec names by `run`, or return None where it names none.

    Args:
        spec: of a head, or of a member of an ensemble.
        part: the detector that it belongs to, for messages.

    Raises:
        OptionError: something stands beside `run`, which brings all that it has.
        DataError: no model lies there.
    """
    if "run" not in spec:
        return None
    beside = sorted(set(spec) - {"run"})
    if beside:
        words = " and ".join(f"`{one}`" for one in beside)
        msg = (
            f"{part}: {words} beside `run: {spec['run']}` would count for nothing, since the saved "
            "model brings its own. Give `{run: FOLDER}` alone, or describe all of it without "
            "`run`; refiners can also follow the whole detector."
        )
        raise OptionError(msg)
    return read_head(spec["run"])


def described_head(spec: Mapping[str, Any], part: str) -> Head:
    """Build a head from its description.

    Args:
        spec: `{detector: {name: ...}, refiners: [...]}`, and what the detector was trained on.
        part: the detector that joins heads, for the message.

    Raises:
        OptionError: it is described otherwise.
    """
    unknown = set(spec) - {"detector", "refiners", "trained_on"}
    if unknown or "detector" not in spec:
        msg = (
            f"{part}: a head is `{{run: FOLDER}}` or `{{detector: {{name: ...}}, refiners: [...]}}`"
            f", not {dict(spec)}."
        )
        raise OptionError(msg)
    head = Head.from_description(spec)
    head.detector.trained_on = spec.get("trained_on")
    return head
