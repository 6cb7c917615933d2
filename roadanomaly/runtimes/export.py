"""Write a model as one graph that other runtimes read."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import torch

from roadanomaly.errors import UserError
from roadanomaly.extras import require
from roadanomaly.model import Model
from roadanomaly.runtimes.graph import INPUT, OUTPUTS, ScoringGraph

OPSET = 18


def write_onnx(model: Model, size: tuple[int, int], path: Path) -> None:
    """Write the path from uint8 image to label map, score and rarity as ONNX.

    Args:
        model: calibrated.
        size: `(H, W)` of the frames that the graph will take.
        path: where to.

    Raises:
        UserError: the detector computes something that ONNX cannot say.
    """
    require("onnxscript", "the export to ONNX")
    graph, example = _prepared(model, size)
    try:
        with _quiet():
            torch.onnx.export(
                graph,
                (example,),
                str(path),
                dynamo=True,
                opset_version=OPSET,
                input_names=[INPUT],
                output_names=list(OUTPUTS),
                external_data=False,
                verbose=False,
            )
    except (RuntimeError, torch.onnx.errors.OnnxExporterError) as error:
        raise _refusal(model, "ONNX", error) from error


def write_torchscript(model: Model, size: tuple[int, int], path: Path) -> None:
    """Write the same path as TorchScript, for C++ programs with libtorch.

    Raises:
        UserError: the detector cannot be traced.
    """
    graph, example = _prepared(model, size)
    try:
        with _quiet(), torch.inference_mode():
            torch.jit.save(torch.jit.trace(graph, example, check_trace=False), str(path))
    except RuntimeError as error:
        raise _refusal(model, "TorchScript", error) from error


def _prepared(model: Model, size: tuple[int, int]) -> tuple[ScoringGraph, torch.Tensor]:
    graph = ScoringGraph(model)
    example = torch.zeros(1, *size, 3, dtype=torch.uint8, device=model.device)
    with torch.inference_mode():
        graph(example)  # a detector that has learned nothing says so here, in plain words
    return graph, example


def _refusal(model: Model, format_name: str, error: Exception) -> UserError:
    reason = str(error).strip().splitlines()[0]
    return UserError(
        f"{type(model.detector).__name__} on {type(model.segmenter).__name__} cannot be written "
        f"as {format_name}: {reason}. The backend torch runs it."
    )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporters' own talk off the terminal."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
