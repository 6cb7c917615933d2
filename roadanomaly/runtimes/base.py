"""What every runtime is: one frame in, its classes, scores and rarities out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np

from roadanomaly.errors import OptionError, nearest
from roadanomaly.scores.finite import require_finite


@dataclass(frozen=True)
class Scores:
    """What a graph says of one frame; arrays `(H, W)`.

    Args:
        classes: uint8, most likely known class; None where it was not asked for.
        score: float32, higher = more anomalous, unbounded.
        rarity: float32, `-log10` of the share of inlier pixels that score at least as high.
    """

    classes: np.ndarray | None
    score: np.ndarray
    rarity: np.ndarray

    @staticmethod
    def of(outputs: Sequence[np.ndarray]) -> Scores:
        """Take a graph's outputs in their order: the class map first, where it is there."""
        *classes, score, rarity = outputs
        return Scores(classes[0] if classes else None, score, rarity)


class Scorer(Protocol):
    """What a stream of frames is given to: a runtime, or a share in one. As in `Runtime`."""

    @property
    def size(self) -> tuple[int, int]:
        """`(H, W)` of the frames."""

    @property
    def name(self) -> str:
        """As in the catalogue."""

    @property
    def precision(self) -> str:
        """What it computes in."""

    @property
    def keeps_state(self) -> bool:
        """Whether scores depend on earlier frames."""

    @property
    def about(self) -> dict[str, Any]:
        """What a record should say beside."""

    def reset(self) -> None:
        """Forget earlier frames."""

    def leave(self) -> None:
        """Hear that the stream is over."""

    def __call__(self, image: np.ndarray) -> Scores:
        """Score one frame."""


class Runtime(ABC):
    """A model that is ready to score frames of one size.

    Args:
        size: `(H, W)` of the frames.
        precision: what it computes in.

    Class facts:
        name: as in the catalogue.
        precisions: those that it knows, the default first.

    Attributes:
        keeps_state: whether scores depend on earlier frames, until `reset`.
        takes_batches: whether it scores several frames in one pass.
    """

    name: ClassVar[str]
    precisions: ClassVar[tuple[str, ...]]
    keeps_state: bool = False
    takes_batches: bool = False

    def __init__(self, size: tuple[int, int], precision: str) -> None:
        self.size = size
        self.precision = check_precision(type(self), precision)

    @property
    def about(self) -> dict[str, Any]:
        """What a record should say beside name and precision: what it runs on, and how."""
        return {}

    def reset(self) -> None:  # noqa: B027 (most keep nothing)
        """Forget earlier frames: a new stream begins, or a cut."""

    def leave(self) -> None:  # noqa: B027 (nobody waits for it)
        """Hear that the stream is over."""

    def make_ready(self, most: int) -> None:  # noqa: B027 (most have nothing to do)
        """Prepare for batches of up to so many frames, before the first."""

    @abstractmethod
    def run(self, image: np.ndarray) -> Scores:
        """Score `(H, W, 3)` uint8 RGB of the runtime's size. The arrays are the caller's own."""

    def run_many(self, images: Sequence[np.ndarray]) -> list[Scores]:
        """Score frames of several streams: as one batch where the runtime takes batches."""
        return [self.run(image) for image in images]

    def __call__(self, image: np.ndarray) -> Scores:
        """Score one frame.

        Args:
            image: `(H, W, 3)` uint8, RGB.

        Raises:
            OptionError: another size or type.
            DataError: a score is NaN or infinite.
        """
        self.check_frame(image)
        return self.checked(self.run(image))

    def check_frame(self, image: np.ndarray) -> None:
        """Refuse a frame that the runtime was not made for.

        Raises:
            OptionError: another size or type.
        """
        if image.shape != (*self.size, 3) or image.dtype != np.uint8:
            height, width = self.size
            msg = (
                f"this graph takes ({height}, {width}, 3) uint8, not {image.shape} {image.dtype}; "
                "scale the frame, or export for its size."
            )
            raise OptionError(msg)

    def checked(self, found: Scores) -> Scores:
        """Return what `run` found.

        Raises:
            DataError: a score is NaN or infinite.
        """
        require_finite(found.score, f"{self.name} {self.precision}")
        return found


def check_precision(kind: type[Runtime], precision: str) -> str:
    """Return `precision`, or refuse what a runtime does not know.

    Raises:
        OptionError: with the known ones.
    """
    if precision not in kind.precisions:
        msg = (
            f"the backend {kind.name} does not compute in {precision!r}; "
            f"{nearest(precision, kind.precisions)}"
        )
        raise OptionError(msg)
    return precision
