"""What every runtime is: one frame in, its classes, scores and rarities out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from roadanomaly.errors import OptionError, nearest
from roadanomaly.scores.finite import require_finite


@dataclass(frozen=True)
class Scores:
    """What a graph says of one frame; arrays `(H, W)`.

    Args:
        classes: uint8, most likely known class.
        score: float32, higher = more anomalous, unbounded.
        rarity: float32, `-log10` of the share of inlier pixels that score at least as high.
    """

    classes: np.ndarray
    score: np.ndarray
    rarity: np.ndarray


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
    """

    name: ClassVar[str]
    precisions: ClassVar[tuple[str, ...]]
    keeps_state: bool = False

    def __init__(self, size: tuple[int, int], precision: str) -> None:
        self.size = size
        self.precision = check_precision(type(self), precision)

    def reset(self) -> None:  # noqa: B027 (most keep nothing)
        """Forget earlier frames: a new stream begins, or a cut."""

    @abstractmethod
    def run(self, image: np.ndarray) -> Scores:
        """Score `(H, W, 3)` uint8 RGB of the runtime's size. The arrays are the caller's own."""

    def __call__(self, image: np.ndarray) -> Scores:
        """Score one frame.

        Args:
            image: `(H, W, 3)` uint8, RGB.

        Raises:
            OptionError: another size or type.
            DataError: a score is NaN or infinite.
        """
        if image.shape != (*self.size, 3) or image.dtype != np.uint8:
            height, width = self.size
            msg = (
                f"this graph takes ({height}, {width}, 3) uint8, not {image.shape} {image.dtype}; "
                "scale the frame, or export for its size."
            )
            raise OptionError(msg)
        found = self.run(image)
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
