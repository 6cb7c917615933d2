"""How far a runtime's scores lie from PyTorch's, on frames whose anomalies are known."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from roadanomaly.errors import DataError, UserError
from roadanomaly.metrics import PixelExact
from roadanomaly.metrics.agreement import Agreement
from roadanomaly.runtimes.base import Runtime

EXACT, COARSE = 0.05, 0.5
"""How far scores may lie off on average, in standard deviations of the reference's: those of a
graph in float32, and those of one in half precision or quantised."""

ROUNDING = 1e-4
"""Mean difference that is never too far: scores that hardly spread have no scale."""


class ParityError(UserError):
    """An exported graph scores pixels otherwise than the model it came from."""


@dataclass(frozen=True)
class Parity:
    """A comparison of two runtimes on the same frames; the first is the reference.

    Args:
        reference: name and precision of the reference.
        runtime: name and precision of the other.
        data: what the frames are.
        size: `(H, W)` of them.
        frames: how many.
        max_difference: largest absolute difference of two scores.
        mean_difference: mean absolute difference.
        spread: standard deviation of the reference's scores.
        most: of these, how far scores may lie off on average.
        rank_correlation: Spearman's, over pixels drawn from all frames; None where one side's
            scores are all equal, which have no ranks.
        classes_equal: share of pixels with the same class.
        ap_before: average precision of the reference, percent.
        ap_after: of the other, percent.
        tolerance: AP points that it may move.
    """

    reference: str
    runtime: str
    data: str
    size: tuple[int, int]
    frames: int
    max_difference: float
    mean_difference: float
    spread: float
    most: float
    rank_correlation: float | None
    classes_equal: float
    ap_before: float
    ap_after: float
    tolerance: float

    @property
    def passed(self) -> bool:
        """Whether AP moved by no more than the tolerance, and the scores are the reference's."""
        return not self._moved and not self._other

    @property
    def _moved(self) -> bool:
        return abs(self.ap_after - self.ap_before) > self.tolerance

    @property
    def _other(self) -> bool:
        """Whether scores lie further off than rounding explains, or are all equal on one side."""
        if self.mean_difference <= ROUNDING:
            return False
        flat = self.rank_correlation is None
        return flat or self.mean_difference > self.most * self.spread

    @property
    def ranks(self) -> str:
        """The rank correlation in words."""
        if self.rank_correlation is None:
            return "undefined (equal scores)"
        return f"{self.rank_correlation:.6f}"

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return {**asdict(self), "size": list(self.size), "passed": self.passed}

    def require(self) -> None:
        """Refuse a graph that does not do what the model does.

        Raises:
            ParityError: AP moved by more than the tolerance, or the scores are others.
        """
        on = f"on {self.data} at {self.size[0]}x{self.size[1]}"
        if self._moved:
            msg = (
                f"AP {on} is {self.ap_before:.2f} by "
                f"{self.reference} and {self.ap_after:.2f} by {self.runtime}: it moved by more "
                f"than {self.tolerance:g} points, so no graph was written. Take a higher "
                "--precision, or state a larger --tolerance."
            )
            raise ParityError(msg)
        if self._other:
            advice = (
                "The backend torch runs the model."
                if self.most == EXACT
                else "Take a higher --precision."
            )
            msg = (
                f"scores {on} by {self.runtime} lie {self.mean_difference:.3g} from those by "
                f"{self.reference} on average, where rounding explains {self.most:g} of their "
                f"standard deviation, {self.spread:.3g}; rank correlation {self.ranks}. The graph "
                "computes something else than the model, so none was written, though AP hardly "
                f"moved. {advice}"
            )
            raise ParityError(msg)


def report(parities: Sequence[Parity]) -> dict[str, Any]:
    """Return what `parity.json` holds: the first comparison, and those at other sizes, if any."""
    first, *others = parities
    if not others:
        return first.as_dict()
    return {
        **first.as_dict(),
        "other_sizes": [one.as_dict() for one in others],
        "passed": all(one.passed and not _drifts(first, one) for one in parities),
    }


def require_all(parities: Sequence[Parity]) -> None:
    """Refuse a graph that does not do what the model does at every size.

    Raises:
        ParityError: AP moved by more than the tolerance at one of them, the scores are others, or
            those at another size lie much further away than at the first.
    """
    first = parities[0]
    first.require()
    for parity in parities[1:]:
        if _drifts(first, parity):
            msg = (
                f"scores lie {parity.mean_difference:.3g} from PyTorch's at "
                f"{parity.size[0]}x{parity.size[1]} on average, but {first.mean_difference:.3g} at "
                f"{first.size[0]}x{first.size[1]}: something is right for one size only, so no "
                "graph was written. Leave out --dynamic to write a graph of one size."
            )
            raise ParityError(msg)
        parity.require()


def _drifts(first: Parity, other: Parity) -> bool:
    """Say whether scores at another size are off by more than rounding explains."""
    return other.mean_difference > max(10 * first.mean_difference, 1e-3)


def compare(
    reference: Runtime,
    runtime: Runtime,
    frames: Iterable[tuple[np.ndarray, np.ndarray]],
    data: str,
    tolerance: float = 0.5,
) -> Parity:
    """Score frames by two runtimes.

    Args:
        reference: what the other should equal.
        runtime: the other.
        frames: image `(H, W, 3)` uint8 and truth `(H, W)` uint8: 0 inlier, 1 anomaly, 255 ignore.
        data: what the frames are, for the record.
        tolerance: AP points that it may move.

    Raises:
        DataError: no frame, or none with an anomaly.
    """
    before, after, agreement = PixelExact(), PixelExact(), Agreement()
    equal = 0
    for image, truth in frames:
        one, other = reference(image), runtime(image)
        agreement.update(one.score, other.score)
        equal += int(np.sum(one.classes == other.classes))
        before.update(str(agreement.frames), one.score, truth)
        after.update(str(agreement.frames), other.score, truth)
    if not agreement.frames:
        msg = f"{data} holds no frame to compare on."
        raise DataError(msg)
    ap_before, ap_after = before.compute().ap, after.compute().ap
    if not np.isfinite(ap_before):
        msg = f"no frame of {data} shows an anomaly, so AP is undefined; compare on another set."
        raise DataError(msg)
    return Parity(
        reference=f"{reference.name} {reference.precision}",
        runtime=f"{runtime.name} {runtime.precision}",
        data=data,
        size=reference.size,
        frames=agreement.frames,
        max_difference=agreement.largest,
        mean_difference=agreement.mean,
        spread=agreement.spread,
        most=EXACT if runtime.precision == "f32" else COARSE,
        rank_correlation=agreement.rank_correlation(),
        classes_equal=equal / agreement.pixels,
        ap_before=100 * ap_before,
        ap_after=100 * ap_after,
        tolerance=tolerance,
    )
