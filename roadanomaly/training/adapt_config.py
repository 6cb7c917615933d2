"""Everything that decides an adaptation, flat and typed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from roadanomaly.errors import OptionError
from roadanomaly.training.run_config import Part, RunConfig, Schedule

Moves = Literal["correction", "heads", "all"]
MOVES: tuple[str, ...] = ("correction", "heads", "all")

OWN, WITHOUT = "own", "none"
"""Held-out worlds to show before and after: the package's own, or none of any."""


@dataclass(frozen=True, kw_only=True)
class AdaptConfig(RunConfig):
    """A trained model learns what is ordinary on a person's own roads. `lr` is that of the heads.

    Args:
        model: run folder of the model to begin with.
        train_data: the learning part of the drives, as ordinary frames, with frames of known
            worlds beside it, on which scores are to stay.
        val_data: the held-out part of the drives: it sets the threshold, and figures are taken
            on it.
        world: labelled frames with anomalies, of another world, to see what was forgotten.
        moves: what learns: a `correction` behind the detector; the detector's own `heads`; or
            `all`, these, the correction and the segmenter.
        hidden: width of the correction.
        negatives: source of negatives in training.
        val_negatives: source of negatives of other kinds, for figures and the threshold.
        segmenter_lr: learning rate of the segmenter, with `all`.
        margin: scores by which inliers are to stay below the threshold, and negatives above it.
        near: pixels around a negative that count for nothing: refiners smooth its score over them.
        worst: weight of the inliers that score highest, beside all of them.
        keep: weight of the term that holds scores of known worlds where they were.
        hold: weight of the term that holds the scores of negatives at least where they were.
        anchor: weight of the squared distance of all that learns from where it began (L2-SP).
        goal: share of the false objects that may be left.
        spare: recall of held-out negatives that may be lost by raising the threshold, 0..1.
        least: pixels of the smallest region that counts as an object.
        worlds: held-out worlds that are shown before and after: a file of worlds, `own` for the
            package's own, or `none`. They decide nothing.
        fps: frames a second of the drives, for figures an hour; 0 where nobody knows.
    """

    task: ClassVar[str] = "adapt"

    model: str
    world: Part
    negatives: Part
    val_negatives: Part
    moves: Moves = "correction"
    hidden: int = 32
    crop: tuple[int, int] = (288, 384)
    scale: tuple[float, float] = (0.8, 1.25)
    jitter: float = 0.1
    degrade: float = 0.1
    steps: int = 200
    batch_size: int = 4
    lr: float = 3e-3
    segmenter_lr: float = 1e-5
    schedule: Schedule = "cosine"
    clip: float = 10.0
    validate_every: int = 100
    checkpoint_every: int = 50
    log_every: int = 20
    margin: float = 1.0
    near: int = 24
    worst: float = 0.5
    keep: float = 0.3
    hold: float = 1.0
    anchor: float = 1e-4
    goal: float = 0.25
    spare: float = 0.01
    fps: float = 0.0
    least: int = 500
    worlds: str = OWN

    def __post_init__(self) -> None:
        """Refuse values that cannot work, before any data is read.

        Raises:
            OptionError: names the key, the value and what is allowed.
        """
        super().__post_init__()
        self._require("moves", self.moves in MOVES, f"one of {', '.join(MOVES)}")
        for key in ("hidden", "least"):
            self._require(key, getattr(self, key) >= 1, "at least 1")
        for key in ("segmenter_lr", "margin", "near", "worst", "keep", "hold", "anchor", "fps"):
            self._require(key, getattr(self, key) >= 0, "not negative")
        for key in ("spare", "goal"):
            self._require(key, 0 <= getattr(self, key) < 1, "in 0..1, 1 excluded")
        self._require("worlds", bool(self.worlds), f"a file, `{OWN}` or `{WITHOUT}`")
        if not self.model:
            msg = "config: `model` must name a run folder."
            raise OptionError(msg)
