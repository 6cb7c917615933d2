"""A model, or an export, made ready to score frames of one size by a named backend."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from roadanomaly.calibration import Calibration
from roadanomaly.errors import NotCalibrated, OptionError
from roadanomaly.model import Model, load
from roadanomaly.runtimes import RUNTIMES
from roadanomaly.runtimes.base import Runtime, check_precision
from roadanomaly.runtimes.export import write_onnx
from roadanomaly.runtimes.exported import BACKENDS, Exported, read_exported
from roadanomaly.runtimes.onnx_runtime import OnnxRuntime
from roadanomaly.runtimes.open_vino import OpenVino
from roadanomaly.runtimes.pytorch import Mode, PyTorch


@dataclass(frozen=True)
class Choice:
    """How to run a model.

    Args:
        backend: name in `RUNTIMES`, or None: the export's own, or torch.
        precision: or None: the export's own, or the backend's first.
        mode: of the backend torch.
        device: of the backend torch.
    """

    backend: str | None = None
    precision: str | None = None
    mode: Mode = "eager"
    device: str = "cpu"


class Opened:
    """A saved model or an export, whose runtime is made once the size of the frames is known.

    Args:
        folder: of a saved model, a run, or an export.
        choice: how to run it.
        false_alarms: share of inlier pixels that may exceed the threshold; None keeps the saved.

    Raises:
        DataError: nothing usable there.
        NotCalibrated: the model has no threshold.
        OptionError: an unknown backend or precision, one that the export was not made for, or a
            rate that the calibration cannot tell.
    """

    def __init__(
        self, folder: str | Path, choice: Choice | None = None, false_alarms: float | None = None
    ) -> None:
        self.choice = choice or Choice()
        if self.choice.backend is not None:
            RUNTIMES.get(self.choice.backend)
        self._source: Model | Exported = read_exported(Path(folder)) or load(
            folder, torch.device(self.choice.device)
        )
        if isinstance(self._source, Exported):
            self._check_export(self._source)
        elif self._source.calibration is None:
            msg = (
                f"the model at {folder} has no threshold yet: calibrate it with `roadanomaly fit`, "
                "or train it with `roadanomaly train`."
            )
            raise NotCalibrated(msg)
        calibration = self._source.calibration
        assert calibration is not None
        self.calibration: Calibration = (
            calibration if false_alarms is None else calibration.at(false_alarms)
        )
        self.min_area = self._source.min_area
        self.classes: tuple[str, ...] = (
            self._source.classes
            if isinstance(self._source, Exported)
            else self._source.segmenter.classes
        )

    def _check_export(self, exported: Exported) -> None:
        own = BACKENDS[exported.to].name
        if self.choice.backend not in (None, own):
            msg = f"this export is for {own}; --backend {self.choice.backend} cannot run it."
            raise OptionError(msg)

    @property
    def fixed_size(self) -> tuple[int, int] | None:
        """`(H, W)` that an export takes, or None: models and dynamic exports take others."""
        source = self._source
        return source.size if isinstance(source, Exported) and source.least is None else None

    def runtime(self, size: tuple[int, int]) -> Runtime:
        """Make the runtime for frames of `(H, W)`.

        Raises:
            OptionError: an export that does not take it, or an unknown precision.
            UserError: the runtime's package is missing, or it cannot say what the model does.
        """
        if isinstance(self._source, Exported):
            precision = self.choice.precision or self._source.precision
            return replace(self._source, precision=precision).open(size)
        return prepare(self._source, size, self.choice)


def prepare(model: Model, size: tuple[int, int], choice: Choice) -> Runtime:
    """Give a model to a runtime.

    Args:
        model: calibrated.
        size: `(H, W)` of the frames.
        choice: how to run it.

    Raises:
        UnknownName: no such backend.
        OptionError: a precision that it does not know; `int8`, which only an export has.
        UserError: its package is missing, or it cannot say what the model does.
    """
    kind = RUNTIMES.get(choice.backend or "torch")
    precision = check_precision(kind, choice.precision or kind.precisions[0])
    if kind is PyTorch:
        return PyTorch(model, size, precision, choice.mode)
    if precision == "int8":
        msg = "int8 is measured once: `roadanomaly export model ... --precision int8`, then run it."
        raise OptionError(msg)
    with tempfile.TemporaryDirectory() as folder:
        graph = Path(folder) / "graph.onnx"
        write_onnx(model, size, graph)
        return (OpenVino if kind is OpenVino else OnnxRuntime)(graph, size, precision)
