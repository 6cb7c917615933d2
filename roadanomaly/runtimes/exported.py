"""The folder of an exported model: the graph, what it is, and how far it lies from PyTorch."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from roadanomaly.calibration import Calibration
from roadanomaly.errors import DataError, OptionError, UserError, nearest
from roadanomaly.files import write_text
from roadanomaly.model import Model
from roadanomaly.runtimes.base import Runtime, check_precision
from roadanomaly.runtimes.export import write_onnx, write_torchscript
from roadanomaly.runtimes.onnx_runtime import OnnxRuntime
from roadanomaly.runtimes.open_vino import OpenVino, quantise, read_graph, store_graph
from roadanomaly.runtimes.parity import Parity, ParityError, compare
from roadanomaly.runtimes.pytorch import PyTorch

FORMAT = 1
DESCRIPTION = "export.json"
PARITY = "parity.json"
GRAPHS = {"onnx": "graph.onnx", "openvino": "graph.xml", "torchscript": "graph.pt"}
BACKENDS: dict[str, type[Runtime]] = {
    "onnx": OnnxRuntime,
    "openvino": OpenVino,
    "torchscript": PyTorch,
}
Target = Literal["onnx", "openvino", "torchscript"]


@dataclass(frozen=True)
class Exported:
    """What `export.json` says.

    Args:
        to: format of the graph: `onnx`, `openvino` or `torchscript`.
        graph: its file.
        size: `(H, W)` of the frames.
        precision: that it was made for and compared in.
        calibration: of the model it came from.
        min_area: of a component, pixels.
        classes: names of the known classes.
    """

    to: str
    graph: Path
    size: tuple[int, int]
    precision: str
    calibration: Calibration
    min_area: int
    classes: tuple[str, ...]

    def open(self) -> Runtime:
        """Make the runtime ready."""
        return _open(self.to, self.graph, self.size, self.precision)


def _open(to: str, graph: Path, size: tuple[int, int], precision: str) -> Runtime:
    if to == "onnx":
        return OnnxRuntime(graph, size, precision)
    return OpenVino(graph, size, precision) if to == "openvino" else PyTorch(graph, size, precision)


def export(
    model: Model,
    to: Target,
    size: tuple[int, int],
    out: Path,
    frames: Iterable[tuple[np.ndarray, np.ndarray]],
    data: str,
    *,
    precision: str = "f32",
    tolerance: float = 0.5,
    quantise_on: Sequence[np.ndarray] = (),
    record: dict[str, Any] | None = None,
) -> Parity:
    """Write a graph with its parity report, or the report alone where AP moves too far.

    Args:
        model: calibrated.
        to: format.
        size: `(H, W)` of the frames that the graph will take.
        out: folder; what an earlier export left there is replaced.
        frames: image and truth at that size, to compare on.
        data: what they are.
        precision: that the runtime will compute in; `int8` quantises.
        tolerance: AP points that it may move.
        quantise_on: images of ordinary road at that size, for `int8`.
        record: what to remember of its making.

    Raises:
        OptionError: an unknown format or precision, or `int8` without frames to measure on.
        ParityError: AP moved by more than the tolerance; `parity.json` says how far.
        UserError: the folder cannot be written, or a package is missing.
    """
    if to not in GRAPHS:
        msg = f"no graph format is called {to!r}; {nearest(to, GRAPHS)}"
        raise OptionError(msg)
    check_precision(BACKENDS[to], precision)
    if precision == "int8" and not quantise_on:
        msg = "int8 needs frames of ordinary road to measure ranges on: give --quantise_on."
        raise OptionError(msg)
    partial = out.with_name(f".{out.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        graph = partial / GRAPHS[to]
        _write(model, to, size, graph, precision, quantise_on)
        reference = PyTorch(model, size)
        parity = compare(reference, _open(to, graph, size, precision), frames, data, tolerance)
        out.mkdir(parents=True, exist_ok=True)
        for old in (*GRAPHS.values(), "graph.bin", DESCRIPTION):
            (out / old).unlink(missing_ok=True)
        write_text(out / PARITY, json.dumps(parity.as_dict(), indent=1) + "\n")
        parity.require()
        for file in partial.iterdir():
            file.replace(out / file.name)
        description = _describe(model, to, size, precision, record)
        write_text(out / DESCRIPTION, json.dumps(description, indent=1) + "\n")
    except OSError as error:
        msg = f"the export cannot be written to {out}: {error.strerror or error}."
        raise UserError(msg) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return parity


def _write(
    model: Model,
    to: str,
    size: tuple[int, int],
    graph: Path,
    precision: str,
    quantise_on: Sequence[np.ndarray],
) -> None:
    if to == "torchscript":
        write_torchscript(model, size, graph)
        return
    if to == "onnx":
        write_onnx(model, size, graph)
        return
    step = graph.with_suffix(".onnx")
    write_onnx(model, size, step)
    read = read_graph(step)
    if precision == "int8":
        read = quantise(read, quantise_on)
    store_graph(read, graph)
    del read
    step.unlink()


def _describe(
    model: Model, to: str, size: tuple[int, int], precision: str, record: dict[str, Any] | None
) -> dict[str, Any]:
    assert model.calibration is not None
    return {
        "format": FORMAT,
        "to": to,
        "graph": GRAPHS[to],
        "size": list(size),
        "precision": precision,
        "input": "image: (1, H, W, 3) uint8, RGB",
        "outputs": {
            "classes": "(1, H, W) uint8, most likely known class",
            "score": "(1, H, W) float32, higher = more anomalous",
            "rarity": "(1, H, W) float32, -log10 of the share of inlier pixels that score so high",
        },
        "threshold": {"score": model.calibration.threshold, "rate": model.calibration.rate},
        "classes": list(model.segmenter.classes),
        "min_area": model.min_area,
        "calibration": asdict(model.calibration),
        "record": record or {},
    }


def read_exported(folder: Path) -> Exported | None:
    """Read what an export wrote, or None where the folder holds no export.

    Raises:
        DataError: an `export.json` that is broken, or whose graph is missing.
    """
    path = folder / DESCRIPTION
    if not path.exists():
        return None
    try:
        found = json.loads(path.read_text())
        exported = Exported(
            to=found["to"],
            graph=folder / found["graph"],
            size=(found["size"][0], found["size"][1]),
            precision=found["precision"],
            calibration=Calibration.from_dict(found["calibration"]),
            min_area=found["min_area"],
            classes=tuple(found["classes"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        msg = f"{path} is broken ({error}); run `roadanomaly export model` again."
        raise DataError(msg) from error
    if not exported.graph.exists():
        msg = f"{exported.graph} is missing; run `roadanomaly export model` again."
        raise DataError(msg)
    return exported


__all__ = ["Exported", "Parity", "ParityError", "export", "read_exported"]
