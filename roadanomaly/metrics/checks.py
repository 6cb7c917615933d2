"""What the metrics refuse: words they do not know, frames that cannot be scored."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from roadanomaly.errors import DataError, UnknownName, nearest
from roadanomaly.metrics.keyed import FrameId

MODES = ("official", "exact")
_HALF_INFINITY = 0x7C00
_HALF_SIGN = 0x8000


def check_name(kind: str, name: str, known: Iterable[str]) -> None:
    """Refuse a name that is not in `known`.

    Raises:
        UnknownName: with the nearest known name.
    """
    known = tuple(known)
    if name not in known:
        hint = nearest(str(name), known)
        allowed = " or ".join(repr(word) for word in known)
        close = f"{hint} The {kind}" if hint.endswith("?") else "it"
        msg = f"no {kind} is called {name!r}; {close} must be {allowed}."
        raise UnknownName(msg)


def check_frame(
    frame_id: FrameId, score: np.ndarray, label: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Refuse a frame that cannot be scored; infinite scores are allowed.

    Args:
        frame_id: named in the message.
        score: `(H, W)` float16, float32 or float64.
        label: `(H, W)` uint8 of 0 inlier, 1 anomaly, 255 ignore.

    Returns:
        score and label, contiguous, of unchanged type.

    Raises:
        DataError: wrong type or shape, NaN scores, or another label id.
    """
    score, label = np.ascontiguousarray(score), np.ascontiguousarray(label)
    if score.dtype not in (np.float16, np.float32, np.float64):
        msg = (
            f"frame {frame_id!r}: scores are {score.dtype}; float16, float32 or float64 is "
            "needed. Convert the score map before scoring it."
        )
        raise DataError(msg)
    if label.dtype != np.uint8:
        msg = (
            f"frame {frame_id!r}: the label is {label.dtype}; it must be uint8 of "
            "0 inlier, 1 anomaly, 255 ignore."
        )
        raise DataError(msg)
    if score.ndim != 2 or score.shape != label.shape:
        msg = (
            f"frame {frame_id!r}: the score has shape {score.shape} and the label {label.shape}; "
            "both must be (H, W). Bring the score map to the size of the label first."
        )
        raise DataError(msg)
    if score.size == 0:
        msg = f"frame {frame_id!r} has shape {score.shape}, which holds no pixel; leave it out."
        raise DataError(msg)
    if _has_nan(score):
        msg = (
            f"frame {frame_id!r}: {int(np.isnan(score).sum())} of {score.size} scores are NaN; "
            "every pixel needs a number. Look for a division by zero or an overflow in the "
            "detector."
        )
        raise DataError(msg)
    if (label + np.uint8(1) > 2).any():
        stray = np.setdiff1d(label, (0, 1, 255))
        msg = (
            f"frame {frame_id!r}: the label holds the id {int(stray[0])}; only 0 inlier, "
            "1 anomaly and 255 ignore are allowed. Map the set's own ids to these first."
        )
        raise DataError(msg)
    return score, label


def _has_nan(score: np.ndarray) -> bool:
    if score.dtype == np.float16:  # numpy looks at halves one by one, which is 20 times slower
        magnitude = score.view(np.uint16) & np.uint16(_HALF_SIGN - 1)
        return bool((magnitude > _HALF_INFINITY).any())
    return bool(np.isnan(score).any())
