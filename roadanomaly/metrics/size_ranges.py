"""Component metrics for components of a range of sizes, as ISSU reports them beside all sizes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from roadanomaly.errors import OptionError
from roadanomaly.metrics.component import FrameObjects, label_components, overlaps


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
    truth_map, truth_size = label_components(label == 1)
    predicted = predicted & (label != 255)
    predicted_map, predicted_size = label_components(predicted)
    truth_kept = truth_range.holds(truth_size)
    truth_kept[0] = truth_size[0] >= truth_range.low
    at_truth, at_predicted = truth_map[predicted], predicted_map[predicted]
    counted = predicted_range.holds(predicted_size)[at_predicted] & truth_kept[at_truth]
    at_predicted, at_truth = at_predicted[counted], at_truth[counted]
    left_size = np.bincount(at_predicted, minlength=predicted_size.size)
    siou, hit = overlaps(at_truth, at_predicted, truth_size, left_size)
    truth_kept[0] = False
    left = left_size > 0
    return FrameObjects(
        siou=siou[truth_kept],
        truth_size=truth_size[truth_kept],
        ppv=hit[left] / left_size[left],
        predicted_size=left_size[left],
    )
