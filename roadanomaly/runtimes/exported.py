"""The folder of an exported model: the graph, what it is, and how far it lies from PyTorch."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from roadanomaly.calibration import Calibration
from roadanomaly.errors import DataError, OptionError, UserError, nearest
from roadanomaly.files import write_text
from roadanomaly.ledger import Ledger
from roadanomaly.model import Model
from roadanomaly.model_folder import EXPORT, read_description
from roadanomaly.runtimes.base import Runtime, check_precision
from roadanomaly.runtimes.choice import Choice
from roadanomaly.runtimes.export import write_onnx, write_torchscript
from roadanomaly.runtimes.onnx_runtime import OnnxRuntime
from roadanomaly.runtimes.open_vino import OpenVino, quantise, read_graph, store_graph
from roadanomaly.runtimes.parity import Parity, ParityError, compare, report, require_all
from roadanomaly.runtimes.providers import AUTO, ENGINES
from roadanomaly.runtimes.pytorch import PyTorch
from roadanomaly.runtimes.reasons import lines_of
from roadanomaly.runtimes.sizes import check_size, least_side, other_sizes
from roadanomaly.saved_model import check_model
from roadanomaly.swap import JOURNAL, WORK, clear, finish, new_result, refuse_kept, settle, swap

FORMAT = 1
DESCRIPTION = EXPORT
PARITY, REFUSED = "parity.json", "parity_refused.json"
GRAPHS = {"onnx": "graph.onnx", "openvino": "graph.xml", "torchscript": "graph.pt"}
REPLACED = (*GRAPHS.values(), "graph.bin", DESCRIPTION, PARITY, REFUSED)
"""What belongs to one export and is replaced together."""
BACKENDS: dict[str, type[Runtime]] = {
    "onnx": OnnxRuntime,
    "openvino": OpenVino,
    "torchscript": PyTorch,
}
Frame = tuple[np.ndarray, np.ndarray]
Frames = Callable[[tuple[int, int]], Iterable[Frame]]
Target = Literal["onnx", "openvino", "torchscript"]


@dataclass(frozen=True)
class Exported:
    """What `export.json` says.

    Args:
        to: format of the graph: `onnx`, `openvino` or `torchscript`.
        graph: its file.
        size: `(H, W)` of the frames, or one of the sizes that it was compared at.
        precision: that it was made for and compared in.
        calibration: of the model it came from.
        min_area: of a component, pixels.
        classes: names of the known classes.
        least: pixels of the shortest side that a dynamic graph takes; None: of `size` alone.
        tells_classes: whether its class map says anything; an export that does not say so does.
    """

    to: str
    graph: Path
    size: tuple[int, int]
    precision: str
    calibration: Calibration
    min_area: int
    classes: tuple[str, ...]
    least: int | None = None
    tells_classes: bool = True

    def open(self, size: tuple[int, int], choice: Choice) -> Runtime:
        """Make the runtime ready for frames of `(H, W)`.

        Args:
            size: of the frames.
            choice: how to run it; TensorRT's engines are kept beside the graph.

        Raises:
            OptionError: the graph does not take them, or the choice does not fit.
        """
        if self.least is not None:
            check_size(size, self.least)
        elif size != self.size:
            height, width = self.size
            msg = (
                f"this export takes {width}x{height}; give --size {width}x{height} or no --size, "
                "or export it with --dynamic."
            )
            raise OptionError(msg)
        precision = choice.precision or self.precision
        if self.to == "onnx":
            provider, engines = choice.provider or AUTO, self.graph.parent / ENGINES
            return OnnxRuntime(
                self.graph,
                size,
                precision,
                provider=provider,
                engines=engines,
                classes=choice.classes,
            )
        if self.to == "openvino":
            return OpenVino(self.graph, size, precision, classes=choice.classes)
        return PyTorch(self.graph, size, precision, choice.mode, torch.device(choice.device))


def _open(to: str, graph: Path, size: tuple[int, int], precision: str) -> Runtime:
    if to == "onnx":
        return OnnxRuntime(graph, size, precision)
    return OpenVino(graph, size, precision) if to == "openvino" else PyTorch(graph, size, precision)


def export(
    model: Model,
    to: Target,
    size: tuple[int, int],
    out: Path,
    frames: Frames,
    data: str,
    *,
    dynamic: bool = False,
    precision: str = "f32",
    tolerance: float = 0.5,
    quantise_on: Sequence[np.ndarray] = (),
    record: dict[str, Any] | None = None,
) -> list[Parity]:
    """Write a graph with its parity report, or the report alone where AP moves too far.

    An export that was there is replaced by one that passes; beside one that is refused it stays.

    Args:
        model: calibrated.
        to: format.
        size: `(H, W)` of the frames that the graph will take.
        out: folder; what an earlier export left there is replaced.
        frames: gives image and truth at a size, to compare on.
        data: what they are.
        dynamic: write one graph for many sizes; `size` and two others are compared.
        precision: that the runtime will compute in; `int8` quantises.
        tolerance: AP points that it may move.
        quantise_on: images of ordinary road at that size, for `int8`.
        record: what to remember of its making.

    Returns:
        the comparison at `size`, then those at other sizes.

    Raises:
        OptionError: an unknown format or precision, `int8` without frames to measure on or for
            many sizes, or a side below the least of a dynamic graph.
        ParityError: AP moved by more than the tolerance, or a dynamic graph is right at one size
            only; `parity.json` says how far, or `parity_refused.json` beside an older export.
        UserError: the folder cannot be written or is another command's, or a package is missing.
    """
    if to not in GRAPHS:
        msg = f"no graph format is called {to!r}; {nearest(to, GRAPHS)}"
        raise OptionError(msg)
    check_precision(BACKENDS[to], precision)
    if precision == "int8":
        _check_int8(quantise_on, dynamic)
    least = least_side(model.segmenter) if dynamic else None
    sizes = [size] if least is None else [size, *other_sizes(size, least)]
    finish(out)
    refuse_kept(out)
    _refuse_strangers(out)
    try:
        new = new_result(out)
        graph = new / GRAPHS[to]
        _write(model, to, size, graph, precision, quantise_on, dynamic)
        parities = [
            _compare(model, _open(to, graph, one, precision), frames(one), data, tolerance)
            for one in sizes
        ]
        description = _describe(model, to, size, precision, least, record)
        write_text(new / DESCRIPTION, json.dumps(description, indent=1) + "\n")
        _put_in_place(out, parities)
    except OSError as error:
        msg = f"the export cannot be written to {out}: {error.strerror or error}."
        raise UserError(msg) from error
    finally:
        if not (out / WORK / JOURNAL).exists():
            clear(out)
            with contextlib.suppress(OSError):
                out.rmdir()  # where nothing was written into it
    return parities


def _put_in_place(out: Path, parities: Sequence[Parity]) -> None:
    """Replace an older export by the new one, or put the report of a refused one beside it.

    Raises:
        ParityError: it was refused.
    """
    try:
        require_all(parities)
    except ParityError as error:
        new_result(out)
        if not (out / DESCRIPTION).exists():
            _swap_with_report(out, parities, PARITY, REPLACED)
            raise
        _swap_with_report(out, parities, REFUSED, (REFUSED,))
        msg = f"{error} The export that was in {out} stays; {REFUSED} there is of the refused one."
        raise ParityError(msg) from error
    _swap_with_report(out, parities, PARITY, REPLACED)


def _swap_with_report(
    out: Path, parities: Sequence[Parity], name: str, replaced: Sequence[str]
) -> None:
    """Add the report to what is new, and put that in the place of what it replaces."""
    _refuse_strangers(out)  # again: what came while it was made
    new = out / WORK / "new"
    write_text(new / name, json.dumps(report(parities), indent=1) + "\n")
    ledger = Ledger(out)
    ledger.add([path.name for path in new.iterdir()])
    swap(out, replaced)
    gone = {name for name in REPLACED if not (out / name).exists()}
    if gone & (known := ledger.names()):
        ledger.write(known - gone)


def _refuse_strangers(out: Path) -> None:
    """Refuse files that no export wrote; one of a version that kept no ledger wrote all of them."""
    ledger = Ledger(out)
    listed = {DESCRIPTION, PARITY} & ledger.names()
    ledger.refuse_strangers(REPLACED, REPLACED if _is_export(out) and not listed else ())


def _is_export(folder: Path) -> bool:
    """Tell whether an export lies in a folder, by its description or its report."""
    wanted = {DESCRIPTION: {"format", "to", "graph"}, PARITY: {"reference", "runtime", "ap_before"}}
    for name, keys in wanted.items():
        with contextlib.suppress(OSError, ValueError, RecursionError, AttributeError):
            if keys <= json.loads((folder / name).read_text()).keys():
                return True
    return False


def _compare(
    model: Model, runtime: Runtime, frames: Iterable[Frame], data: str, tolerance: float
) -> Parity:
    """Compare with PyTorch at the runtime's size.

    Raises:
        UserError: the graph does not run there.
    """
    reference = PyTorch(model, runtime.size)
    try:
        return compare(reference, runtime, frames, data, tolerance)
    except UserError:
        raise
    except Exception as error:  # each runtime has its own kinds
        reason = lines_of(error)[0]
        msg = (
            f"the graph does not run on frames of {runtime.size[0]}x{runtime.size[1]} (HxW): "
            f"{reason}. With --dynamic, leave that out to write a graph of one size."
        )
        raise UserError(msg) from error


def _check_int8(quantise_on: Sequence[np.ndarray], dynamic: bool) -> None:
    if dynamic:
        msg = (
            "int8 measures its ranges at one size: leave out --dynamic, or take another precision."
        )
        raise OptionError(msg)
    if not quantise_on:
        msg = "int8 needs frames of ordinary road to measure ranges on: give --quantise_on."
        raise OptionError(msg)


def _write(
    model: Model,
    to: str,
    size: tuple[int, int],
    graph: Path,
    precision: str,
    quantise_on: Sequence[np.ndarray],
    dynamic: bool,
) -> None:
    if to == "torchscript":
        write_torchscript(model, size, graph, dynamic)
        return
    if to == "onnx":
        write_onnx(model, size, graph, dynamic)
        return
    step = graph.with_suffix(".onnx")
    write_onnx(model, size, step, dynamic)
    read = read_graph(step)
    if precision == "int8":
        read = quantise(read, quantise_on)
    store_graph(read, graph)
    del read
    step.unlink()


def _describe(
    model: Model,
    to: str,
    size: tuple[int, int],
    precision: str,
    least: int | None,
    record: dict[str, Any] | None,
) -> dict[str, Any]:
    assert model.calibration is not None
    sides = f"H = {size[0]}, W = {size[1]}" if least is None else f"H and W from {least} pixels"
    return {
        "format": FORMAT,
        "to": to,
        "graph": GRAPHS[to],
        "size": list(size),
        "precision": precision,
        "dynamic": None if least is None else {"least": least},
        "input": f"image: (1, H, W, 3) uint8, RGB; {sides}",
        "outputs": {
            "classes": "(1, H, W) uint8, most likely known class",
            "score": "(1, H, W) float32, higher = more anomalous",
            "rarity": "(1, H, W) float32, -log10 of the share of inlier pixels that score so high",
        },
        "threshold": {"score": model.calibration.threshold, "rate": model.calibration.rate},
        "classes": list(model.segmenter.classes),
        "tells_classes": model.head.reads_segmentation,
        "min_area": model.min_area,
        "calibration": asdict(model.calibration),
        "record": record or {},
    }


def is_export(folder: Path) -> bool:
    """Return whether a folder holds an export; one whose writing was cut off is put right."""
    settle(folder)
    return (folder / DESCRIPTION).exists()


def read_exported(folder: Path) -> Exported | None:
    """Read what an export wrote, or None where the folder holds no export.

    Raises:
        DataError: an `export.json` that is broken, or whose graph is missing.
    """
    if not is_export(folder):
        return None
    path = folder / DESCRIPTION
    try:
        found = read_description(path)
        _require_today(found, path)
        check_model(found, folder)
        exported = Exported(
            to=found["to"],
            graph=folder / GRAPHS[found["to"]],
            size=(int(found["size"][0]), int(found["size"][1])),
            precision=found["precision"],
            calibration=Calibration.from_dict(found["calibration"]),
            min_area=found["min_area"],
            classes=tuple(found["classes"]),
            least=found["dynamic"]["least"] if found.get("dynamic") else None,
            tells_classes=bool(found.get("tells_classes", True)),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        msg = f"{path} is broken ({error}); run `roadanomaly export model` again."
        raise DataError(msg) from error
    if not exported.graph.exists():
        msg = f"{exported.graph} is missing; run `roadanomaly export model` again."
        raise DataError(msg)
    return exported


def _require_today(description: Mapping[str, Any], path: Path) -> None:
    """Refuse what another version wrote.

    Raises:
        DataError: says which format it has.
    """
    if description["format"] != FORMAT:
        msg = (
            f"{path} was written by another version of roadanomaly: its format is "
            f"{description['format']!r}, and this version reads {FORMAT}. Run `roadanomaly export "
            "model` again, or use that version."
        )
        raise DataError(msg)


__all__ = ["Exported", "Parity", "ParityError", "export", "is_export", "read_exported"]
