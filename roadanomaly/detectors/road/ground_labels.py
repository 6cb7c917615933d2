"""What road detectors make of labels, normal ground, anomaly or neither, and the losses on it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from roadanomaly.data.ground import NAMES, ground_classes
from roadanomaly.detectors.losses import masked_mean
from roadanomaly.errors import OptionError, nearest
from roadanomaly.types import IGNORE, INLIER, VOID

ANOMALY, NORMAL, NEITHER = 0, 1, -100
"""Targets of the two-way classification; losses skip `NEITHER`."""

UNCERTAIN = ("building", "sky", "guard rail")
"""Classes that the published recipe ignores, beside void."""

MARGINS = 0.001, 0.999
"""Errors of ground below the first, and of anomalies above the second, cost nothing."""

ClassNames = Sequence[str | int]


class GroundLabels:
    """Maps labels to `NORMAL` (drivable ground), `ANOMALY` (all else) and `NEITHER`.

    Void is `NEITHER`, whatever number a data set gives it, since its loader makes it `IGNORE`; the
    public code stores Cityscapes' id -1 as 255 and then trains on it as an anomaly. Negatives are
    `ANOMALY`.

    Args:
        classes: names of the segmenter's classes, which the labels index.
        normal: classes of the ground, names or indices; None takes road, sidewalk, pavement.
        ignored: classes that are neither; None takes building, sky and guard rail, those of them
            that there are.

    Raises:
        OptionError: a class that there is not, one that is both, or a network without ground.
    """

    def __init__(
        self, classes: Sequence[str], normal: ClassNames | None, ignored: ClassNames | None
    ) -> None:
        self.normal = (
            ground_classes(classes) if normal is None else indices("normal", normal, classes)
        )
        if not self.normal:
            msg = (
                f"this network knows no class named {', '.join(NAMES)}; say by `normal` which of "
                f"its classes are drivable ground: {', '.join(classes)}."
            )
            raise OptionError(msg)
        if ignored is None:
            ignored = [name for name in classes if name.lower() in UNCERTAIN]
        self.ignored = indices("ignored", ignored, classes)
        both = set(self.normal) & set(self.ignored)
        if both:
            names = ", ".join(classes[index] for index in sorted(both))
            msg = f"`normal` and `ignored` both name {names}; a class is one of the two."
            raise OptionError(msg)

    def targets(self, label: Tensor) -> Tensor:
        """Return `(B, H, W)` int64 of `ANOMALY`, `NORMAL`, `NEITHER` for uint8 labels."""
        table = torch.full((256,), ANOMALY, dtype=torch.int64)
        table[list(self.normal)] = NORMAL
        table[[*self.ignored, INLIER, VOID, IGNORE]] = NEITHER
        return table.to(label.device, non_blocking=True)[label.long()]

    def predicted(self, classes: Tensor) -> Tensor:
        """Return where predicted classes `(B, H, W)` are ground, bool."""
        normal = torch.tensor(self.normal).to(classes.device, non_blocking=True)
        return torch.isin(classes, normal)


def indices(option: str, given: ClassNames, classes: Sequence[str]) -> tuple[int, ...]:
    """Return the indices of classes that an option names, in rising order.

    Raises:
        OptionError: with the nearest name.
    """
    found = set()
    for one in given:
        if isinstance(one, int) and 0 <= one < len(classes):
            found.add(one)
        elif one in classes:
            found.add(list(classes).index(str(one)))
        else:
            msg = f"`{option}` names the class {one!r}; {nearest(str(one), classes)}"
            raise OptionError(msg)
    return tuple(sorted(found))


def listed(names: ClassNames | None) -> list[str | int] | None:
    """Return classes as plain values, for `options`."""
    return None if names is None else list(names)


def two_way_loss(outputs: Tensor, target: Tensor) -> Tensor:
    """Mean cross-entropy of anomaly against ground, nats; 0 where neither is labelled.

    Args:
        outputs: `(B, 2, H, W)`.
        target: `(B, H, W)` of `GroundLabels`.
    """
    total = functional.cross_entropy(outputs.float(), target, ignore_index=NEITHER, reduction="sum")
    return total / (target != NEITHER).sum().clamp_min(1)


def reconstruction_loss(error: Tensor, target: Tensor) -> Tensor:
    """Mean of `relu(e - 0.001)` over ground and of `relu(0.999 - e)` over anomalies, added.

    Args:
        error: `(B, H, W)` in 0..1.
        target: `(B, H, W)` of `GroundLabels`.
    """
    low, high = MARGINS
    return masked_mean((error - low).relu(), target == NORMAL) + masked_mean(
        (high - error).relu(), target == ANOMALY
    )
