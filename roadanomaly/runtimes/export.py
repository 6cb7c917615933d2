"""Write a model as one graph that other runtimes read."""

from __future__ import annotations

import contextlib
import functools
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import nn

from roadanomaly.catalogue import called
from roadanomaly.errors import UserError
from roadanomaly.extras import require
from roadanomaly.model import Model
from roadanomaly.runtimes.graph import HEIGHT, INPUT, OUTPUTS, WIDTH, AnySize, ScoringGraph
from roadanomaly.runtimes.reasons import lines_of
from roadanomaly.runtimes.sizes import check_size, least_side
from roadanomaly.segmenters.base import Segmenter

OPSET = 18


FAULTS = (
    RuntimeError,
    torch.onnx.errors.OnnxExporterError,
    AssertionError,
    TypeError,
    ValueError,
)
"""What the exporters raise at code that they cannot follow."""


def write_onnx(model: Model, size: tuple[int, int], path: Path, dynamic: bool = False) -> None:
    """Write the path from uint8 image to label map, score and rarity as ONNX.

    Args:
        model: calibrated.
        size: `(H, W)` of the frames that the graph will take.
        path: where to.
        dynamic: take other sizes too.

    Raises:
        UserError: the model computes something that ONNX cannot say, or not for many sizes.
    """
    require("onnxscript", "the export to ONNX")
    graph, example = _prepared(model, size, dynamic)
    write = functools.partial(
        torch.onnx.export,
        f=str(path),
        dynamo=True,
        opset_version=OPSET,
        input_names=[INPUT],
        output_names=list(OUTPUTS),
        external_data=False,
        verbose=False,
    )
    try:
        with _quiet(), torch.no_grad():
            if dynamic:
                write(_left_open(graph, example, least_side(model.segmenter)), ())
            else:
                write(graph, (example,))
    except FAULTS as error:
        raise _refusal(model, "ONNX", error, dynamic) from error


def write_torchscript(
    model: Model, size: tuple[int, int], path: Path, dynamic: bool = False
) -> None:
    """Write the same path as TorchScript, for C++ programs with libtorch.

    Tracing follows sizes, and says nothing where code turns one into a constant: a graph for many
    sizes must be compared at several.

    Raises:
        UserError: the model cannot be traced.
    """
    graph, example = _prepared(model, size, dynamic)
    try:
        with _quiet(), torch.inference_mode():
            torch.jit.save(torch.jit.trace(graph, example, check_trace=False), str(path))
    except FAULTS as error:
        raise _refusal(model, "TorchScript", error, dynamic) from error


def _require_one_graph(model: Model) -> None:
    """Refuse what no graph can hold.

    Raises:
        UserError: names the part, and what it does beyond one pass.
    """
    detector = model.detector
    name = called(detector)
    reasons = {
        "passes": "it takes several passes of the network, each after looking at the last",
        "gradients": "it takes gradients of the network, which a graph does not hold",
        "state": "its score depends on earlier frames, which a graph does not keep",
        "coder": "it runs a lossless coder of images, which a graph does not hold",
    }
    if detector.beyond_one_graph:
        reason = "; ".join(reasons[one] for one in detector.beyond_one_graph)
        msg = f"`{name}` cannot be exported: {reason}. The backend torch runs it."
        raise UserError(msg)
    for refiner in model.head.refiners:
        if not refiner.exports:
            msg = (
                f"the refiner `{called(refiner)}` computes what no graph can say, so this "
                "model cannot be exported. The backend torch runs it."
            )
            raise UserError(msg)


def _prepared(model: Model, size: tuple[int, int], dynamic: bool) -> tuple[nn.Module, torch.Tensor]:
    _require_one_graph(model)
    graph = ScoringGraph(model)
    for part in graph.modules():
        if isinstance(part, Segmenter):
            part.settle()
    graph.requires_grad_(False)
    if dynamic:
        check_size(size, least_side(model.segmenter))
    example = torch.zeros(1, *size, 3, dtype=torch.uint8, device=model.device)
    with torch.inference_mode():
        graph(example)  # a detector that has learned nothing says so here, in plain words
    return (AnySize(graph) if dynamic else graph), example


def _left_open(graph: nn.Module, example: torch.Tensor, least: int) -> torch.export.ExportedProgram:
    """Follow the graph with symbols for height and width.

    What PyTorch assumes of them on its way and cannot prove becomes a check in the program, which
    ONNX leaves out: that the graph is right at other sizes is for a comparison to say.
    """
    sides = {1: torch.export.Dim(HEIGHT, min=least), 2: torch.export.Dim(WIDTH, min=least)}
    return torch.export.export(
        graph,
        (example,),
        dynamic_shapes=(sides,),
        strict=False,
        prefer_deferred_runtime_asserts_over_guards=True,
    )


def _refusal(model: Model, format_name: str, error: Exception, dynamic: bool) -> UserError:
    reason = _reason(error)
    name = f"`{called(model.detector)}` on `{called(model.segmenter)}`"
    if not dynamic:
        return UserError(
            f"{name} cannot be written as {format_name}: {reason}. The backend torch runs it."
        )
    return UserError(
        f"{name} cannot be written as {format_name} for many sizes: {reason}. Leave out --dynamic "
        "to write a graph of one size."
    )


def _reason(error: BaseException) -> str:
    """Return in one line why an exporter gave up.

    That is the first side that it could not leave open, where it names any; else what began it: the
    exporters wrap that in reports of their own, which are coloured and many lines long.
    """
    named = [one.strip(" -") for one in lines_of(error) if one.startswith("  - ")]
    while error.__cause__ is not None:
        error = error.__cause__
    return (*named, *lines_of(error))[0].rstrip(".")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporters' own talk off the terminal."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        said = io.StringIO()
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(said),
            contextlib.redirect_stderr(said),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
