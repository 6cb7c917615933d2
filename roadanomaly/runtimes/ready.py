"""A model, or an export, made ready to score frames of one size by a named backend."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch

from roadanomaly.calibration import Calibration
from roadanomaly.errors import NotCalibrated, OptionError
from roadanomaly.extras import require
from roadanomaly.model import Model, load
from roadanomaly.runtimes import RUNTIMES
from roadanomaly.runtimes.base import Runtime, Scorer, check_precision
from roadanomaly.runtimes.choice import Choice, check_mode
from roadanomaly.runtimes.export import write_onnx
from roadanomaly.runtimes.exported import BACKENDS, Exported, read_exported
from roadanomaly.runtimes.gathering import Gathering
from roadanomaly.runtimes.onnx_runtime import OnnxRuntime
from roadanomaly.runtimes.open_vino import OpenVino
from roadanomaly.runtimes.providers import AUTO, check_provider
from roadanomaly.runtimes.pytorch import PyTorch


class Opened:
    """A saved model or an export, whose runtime is made once the size of the frames is known.

    Args:
        folder: of a saved model, a run, or an export; or the name of a model of the package.
        choice: how to run it.

    Attributes:
        calibration: as saved; another may be put in its place.

    Raises:
        DataError: nothing usable there.
        NotCalibrated: the model has no threshold.
        OptionError: an unknown backend, precision, mode or provider, one that the export was not
            made for or the backend lacks.
    """

    def __init__(self, folder: str | Path, choice: Choice | None = None) -> None:
        self.choice = choice or Choice()
        if self.choice.backend is not None:
            RUNTIMES.get(self.choice.backend)
        check_provider(self.choice.provider or AUTO)
        check_mode(self.choice.mode)
        self._source: Model | Exported = read_exported(Path(folder)) or load(
            folder, torch.device(self.choice.device)
        )
        if isinstance(self._source, Exported):
            self._check_export(self._source)
        backend = self._backend()
        self._check_mode(backend)
        self._check_provider(backend)
        if isinstance(self._source, Model) and self._source.calibration is None:
            msg = (
                f"the model at {folder} has no threshold yet: calibrate it with `roadanomaly fit`, "
                "or train it with `roadanomaly train`."
            )
            raise NotCalibrated(msg)
        calibration = self._source.calibration
        assert calibration is not None
        self.calibration: Calibration = calibration
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

    def _backend(self) -> str:
        source = self._source
        own = BACKENDS[source.to].name if isinstance(source, Exported) else PyTorch.name
        return self.choice.backend or own

    def _check_mode(self, backend: str) -> None:
        if self.choice.mode != "auto" and backend != PyTorch.name:
            msg = (
                f"--mode {self.choice.mode} is one of torch's, and this is run by {backend}: "
                "leave it out."
            )
            raise OptionError(msg)

    def _check_provider(self, backend: str) -> None:
        if self.choice.provider is None:
            return
        if backend != OnnxRuntime.name:
            msg = (
                f"--provider {self.choice.provider} is one of ONNX Runtime's, and this is run by "
                f"{backend}: add --backend {OnnxRuntime.name} to run a saved model by it, or take "
                "an export made with --to onnx."
            )
            raise OptionError(msg)
        ort = require("onnxruntime", "--provider")
        check_provider(self.choice.provider, ort.get_available_providers())

    @property
    def keeps_state(self) -> bool:
        """Whether scores depend on earlier frames: each stream needs a runtime of its own."""
        return isinstance(self._source, Model) and "state" in self._source.detector.asks

    @property
    def tells_classes(self) -> bool:
        """Whether the class map says anything: a detector of the image alone asks no segmenter."""
        source = self._source
        return (
            source.tells_classes if isinstance(source, Exported) else source.head.reads_segmentation
        )

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
            return self._source.open(size, self.choice)
        return prepare(self._source, size, self.choice)


def scorers(opened: Opened, sizes: Sequence[tuple[int, int]]) -> list[Scorer]:
    """Return what the streams of a model are given to, one each.

    Those of equal size share a runtime and its batches, unless it keeps something from frame to
    frame: then each has its own.

    Args:
        opened: the model.
        sizes: `(H, W)` of each stream's frames.

    Raises:
        UserError: as `Opened.runtime`.
    """
    if len(sizes) == 1 or opened.keeps_state:
        return [opened.runtime(size) for size in sizes]
    shared = {size: Gathering(opened.runtime(size)) for size in dict.fromkeys(sizes)}
    for size, one in shared.items():
        one.runtime.make_ready(sizes.count(size))
    return [shared[size].join() for size in sizes]


def prepare(model: Model, size: tuple[int, int], choice: Choice) -> Runtime:
    """Give a model to a runtime.

    Args:
        model: calibrated.
        size: `(H, W)` of the frames.
        choice: how to run it. TensorRT builds its engine each time: an export keeps it.

    Raises:
        UnknownName: no such backend.
        OptionError: a precision that it does not know; `int8`, which only an export has.
        UserError: its package is missing, or it cannot say what the model does.
    """
    kind = RUNTIMES.get(choice.backend or "torch")
    precision = check_precision(kind, choice.precision or kind.precisions[0])
    if kind is PyTorch:
        return PyTorch(model, size, precision, choice.mode, classes=choice.classes)
    if precision == "int8":
        msg = "int8 is measured once: `roadanomaly export model ... --precision int8`, then run it."
        raise OptionError(msg)
    with tempfile.TemporaryDirectory() as folder:
        graph = Path(folder) / "graph.onnx"
        write_onnx(model, size, graph)
        if kind is OpenVino:
            return OpenVino(graph, size, precision, classes=choice.classes)
        provider = choice.provider or AUTO
        return OnnxRuntime(graph, size, precision, provider=provider, classes=choice.classes)
