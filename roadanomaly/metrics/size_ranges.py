"""Component metrics for components of a range of sizes, as ISSU reports them beside all sizes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from roadanomaly.errors import OptionError
from roadanomaly.metrics.component import FrameObjects, match_objects


@dataclass(frozen=True)
class SizeRange:
    """Components of `low <= pixels < high` count, at image resolution.

    Args:
        low: smallest size that counts.
        high: first size that is too large; infinity for no limit.

    Raises:
        OptionError: an empty range.
    """

    low: float = 0
    high: float = float("inf")

    def __post_init__(self) -> None:
        if not 0 <= self.low < self.high:
            msg = (
                f"the size range [{self.low}, {self.high}) holds no size; `low` must be 0 or more "
                "and less than `high`."
            )
            raise OptionError(msg)

    def holds(self, sizes: np.ndarray) -> np.ndarray:
        """Tell for each size whether it lies in the range; bool."""
        return (sizes >= self.low) & (sizes < self.high)


def frame_objects_within(
    predicted: np.ndarray, label: np.ndarray, predicted_range: SizeRange, truth_range: SizeRange
) -> FrameObjects:
    """Match the predicted and true components of one frame whose sizes lie in a range.

    The rules of `frame_objects`: predictions outside their range are dropped, true components
    outside theirs become ignored pixels, which then cut off what is predicted on them. The pixels
    outside all true components are ignored where they are fewer than `truth_range.low`; they
    are never too many.

    Args:
        predicted: `(H, W)` bool.
        label: `(H, W)` uint8 of 0, 1, 255.
        predicted_range: sizes of predicted components that count.
        truth_range: sizes of true components that count.
    """

    def truth_counts(sizes: np.ndarray) -> np.ndarray:
        kept = truth_range.holds(sizes)
        kept[0] = sizes[0] >= truth_range.low
        return kept

    return match_objects(predicted, label, predicted_range.holds, truth_counts)
