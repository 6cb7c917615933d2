"""A data set with negatives in its frames, the same ones every time it is read."""

from __future__ import annotations

from typing import Any

import numpy as np

from roadanomaly.data.base import FrameSet
from roadanomaly.data.derived import Derived
from roadanomaly.errors import DataError, OptionError
from roadanomaly.negatives.base import NegativeSource
from roadanomaly.types import Batch, Frame

SEED = 20_211


def require_loader(negatives: NegativeSource) -> None:
    """Refuse a source that works inside the step, where nobody would ask it.

    Raises:
        OptionError: it learns, or asks the network.
    """
    if negatives.stage != "loader":
        msg = (
            "these negatives must not learn or follow a network, since they have to stay the "
            "same: take paste, shapes, noise, road_obstacles or label_swap."
        )
        raise OptionError(msg)


class MixedFrames(Derived):
    """Labelled frames into which a source has put negatives.

    Frame `n` of this set is mixed with a generator seeded by `n`, so whoever mixes the same frames
    in the same order sees the same negatives. `n` counts within `frames`: of a few frames picked
    before, as `val_frames` does in training, each has another `n`, and so other negatives, than in
    the whole set, where `evaluate --limit` picks afterwards.

    Args:
        frames: labelled inlier frames.
        negatives: their source, one that works in the loader.

    Raises:
        OptionError: the source works inside the step: it learns, or asks the network; or it lays
            objects over the frames of a class that these do not have.
    """

    def __init__(self, frames: FrameSet, negatives: NegativeSource) -> None:
        super().__init__(frames)
        require_loader(negatives)
        negatives.label_as(frames.classes)
        self.negatives = negatives

    def batch(self, index: int) -> Batch:
        """Return a frame as a batch of one, with all that the source says of it.

        Raises:
            DataError: the frame has no class labels.
        """
        frame = self.frames[index]
        if frame.label is None:
            msg = f"frame {frame.id} has no class labels, so no negatives can be put into it."
            raise DataError(msg)
        batch = Batch(frame.image[None], frame.label[None], (frame.id,))
        return self.negatives.mix(batch, np.random.default_rng([SEED, index]))

    def __getitem__(self, index: int) -> Frame:
        mixed = self.batch(index)
        return Frame(mixed.ids[0], mixed.image[0], mixed.label[0])

    def record(self) -> dict[str, Any]:
        """Return the set's record, with that of the negatives."""
        return {**self.frames.record(), "negatives": self.negatives.record()}
