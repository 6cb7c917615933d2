"""A saved model made small enough to pass on: half precision, and nothing of the machine."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from roadanomaly.errors import OptionError
from roadanomaly.flows.exact import EXACT
from roadanomaly.flows.layer import Layer
from roadanomaly.metrics.agreement import Agreement
from roadanomaly.model import Model

LARGEST = torch.finfo(torch.float16).max
"""The largest number of half precision, 65504."""

NORMS = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm)
FLOWS = (*EXACT, Layer)

OF_THE_MACHINE = ("command", "machine", "started", "out", "accelerator", "devices", "workers")
"""Keys of a record, or of the config in it, that say where a program ran, not what it did."""

_PATH = re.compile(r"(?:(?<![\w.:/~])(?:~?/)|\b[A-Za-z]:\\)(?:[^\s/\\:'\"]+[/\\])*([^\s/\\:'\"]+)")


def halved(networks: nn.Module) -> dict[str, Tensor]:
    """Return a state in which the weights of convolutions and the like are float16.

    What is sensitive to rounding stays as it is: buffers (running statistics, means, covariances,
    quantiles), the parameters of normalisation layers, and flows.

    Args:
        networks: with float32 parameters.

    Raises:
        OptionError: a weight beyond what half precision holds; names it.
    """
    rounded = _roundable(networks)
    return {
        name: _half(name, value) if name in rounded else value.contiguous()
        for name, value in networks.state_dict().items()
    }


def _roundable(networks: nn.Module) -> set[str]:
    """Return the names of the parameters that may be rounded."""
    kept = [
        name
        for name, module in networks.named_modules(remove_duplicate=False)
        if isinstance(module, (*NORMS, *FLOWS))
    ]
    return {
        name
        for name, value in networks.named_parameters(remove_duplicate=False)
        if value.dtype == torch.float32 and not any(name.startswith(f"{one}.") for one in kept)
    }


def _half(name: str, value: Tensor) -> Tensor:
    half = value.detach().to(torch.float16)
    if not torch.isfinite(half).all():
        msg = (
            f"the weights cannot be kept in half precision: {name} reaches "
            f"{float(value.detach().abs().max()):.4g}, and half precision {LARGEST:g}. Use the "
            "saved model as it is."
        )
        raise OptionError(msg)
    return half.contiguous()


def packed_description(model: Model, record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a model's description without what belongs to the machine that made it.

    Args:
        model: to be passed on.
        record: of its making.

    Raises:
        OptionError: the model needs a file of this machine besides its weights.
    """
    described = model.describe(portable(record))
    for part in ("segmenter", "detector", "refiners"):
        if without_paths(described[part]) != described[part]:
            msg = (
                f"this model cannot be packed: its {part} reads a file by its place on this "
                f"machine ({described[part]}), which would be missing elsewhere."
            )
            raise OptionError(msg)
    if described["calibration"]:
        described["calibration"] = without_paths(described["calibration"])
    return described


def portable(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a model's record without what belongs to the machine that made it.

    Absolute paths become their last name.

    >>> portable({"command": "train a.yaml", "seed": 1, "config": {"root": "/data/camvid"}})
    {'seed': 1, 'config': {'root': 'camvid'}}
    """
    kept = {key: value for key, value in record.items() if key not in OF_THE_MACHINE}
    if isinstance(kept.get("config"), Mapping):
        config = kept["config"].items()
        kept["config"] = {key: value for key, value in config if key not in OF_THE_MACHINE}
    if isinstance(kept.get("earlier"), Mapping):
        kept["earlier"] = portable(kept["earlier"])
    return without_paths(kept)


def without_paths(value: Any) -> Any:
    r"""Return plain values in which absolute paths are cut to their last name.

    >>> without_paths(["/home/a/x.pth", "see https://a.org/b/c", "runs/a", "C:\\data\\y"])
    ['x.pth', 'see https://a.org/b/c', 'runs/a', 'y']
    """
    if isinstance(value, str):
        return _PATH.sub(r"\1", value)
    if isinstance(value, Mapping):
        return {key: without_paths(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(without_paths(one) for one in value)
    return value


class Change:
    """What packing did to the scores of some frames.

    Attributes:
        agreement: of the scores before and after.
    """

    def __init__(self) -> None:
        self.agreement = Agreement()
        self._moved: int | None = None

    def update(
        self, before: np.ndarray, after: np.ndarray, thresholds: tuple[float, float] | None
    ) -> None:
        """Compare a frame.

        Args:
            before: its scores by the model as it was, `(H, W)`.
            after: by the packed one.
            thresholds: of the two, or None where there is none.
        """
        self.agreement.update(before, after)
        if thresholds is not None:
            moved = (before > thresholds[0]) != (after > thresholds[1])
            self._moved = (self._moved or 0) + int(moved.sum())

    @property
    def moved(self) -> float | None:
        """Share of pixels on which the two masks differ; None without thresholds."""
        return None if self._moved is None else self._moved / self.agreement.pixels


def compare(before: Model, after: Model, images: Iterable[Tensor]) -> Change:
    """Score images by two models.

    Args:
        before: the model as it was.
        after: as it is read again.
        images: `(3, H, W)` uint8.
    """
    change = Change()
    thresholds = (
        (before.calibration.threshold, after.calibration.threshold)
        if before.calibration and after.calibration
        else None
    )
    for image in images:
        torch.manual_seed(0)
        one = before(image).score
        torch.manual_seed(0)
        change.update(one, after(image).score, thresholds)
    return change
