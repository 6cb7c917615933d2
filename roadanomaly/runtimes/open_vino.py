"""OpenVINO, the fastest here on a processor; the precision is always said, never guessed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from roadanomaly.errors import OptionError
from roadanomaly.extras import require
from roadanomaly.runtimes.base import Runtime, Scores
from roadanomaly.runtimes.graph import OUTPUTS, outputs_of

BACKEND = "the backend `openvino`"


class OpenVino(Runtime):
    """A graph (`.xml` or `.onnx`) compiled by OpenVINO.

    A graph that takes many sizes is compiled for the one of the frames, which makes its pooling
    matrices constants.

    Args:
        graph: the file.
        size: `(H, W)` of the frames.
        precision: `f32`; `bf16` or `f16` where the processor has them; `int8` for a graph that
            was quantised when it was exported, the rest of it in f32.
        threads: of one frame; 0 takes all cores.
        device: `CPU`, `GPU`, ... as OpenVINO calls them.
        classes: False leaves the class map out, and the work for it.
    """

    name = "openvino"
    precisions = ("f32", "bf16", "f16", "int8")

    def __init__(
        self,
        graph: Path,
        size: tuple[int, int],
        precision: str = "f32",
        threads: int = 0,
        device: str = "CPU",
        *,
        classes: bool = True,
    ) -> None:
        super().__init__(size, precision)
        openvino = require("openvino", BACKEND)
        settings: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": "f32" if precision == "int8" else precision,
            "PERFORMANCE_HINT": "LATENCY",
        }
        if device == "CPU":
            settings["INFERENCE_NUM_THREADS"] = threads or os.cpu_count() or 1
        try:
            core = openvino.Core()
            read = core.read_model(graph)
            if read.is_dynamic():
                read.reshape([1, *size, 3])
            if not classes:
                read.remove_result(read.output(OUTPUTS[0]).get_node())
            compiled = core.compile_model(read, device, settings)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            msg = f"OpenVINO cannot run this graph on {device} in {precision}: {reason}"
            raise OptionError(msg) from error
        self._request = compiled.create_infer_request()
        self._outputs = [compiled.output(name) for name in outputs_of(classes=classes)]

    def run(self, image: np.ndarray) -> Scores:
        """Score `(H, W, 3)` uint8 RGB."""
        found = self._request.infer([image[None]], share_inputs=True, share_outputs=True)
        return Scores.of([found[one][0].copy() for one in self._outputs])


def read_graph(path: Path) -> Any:
    """Read a graph for OpenVINO, to quantise or to store it."""
    return require("openvino", BACKEND).Core().read_model(path)


def store_graph(graph: Any, path: Path) -> None:
    """Write a graph as `path` (`.xml`) and the weights beside it (`.bin`), in full precision."""
    require("openvino", BACKEND).save_model(graph, path, compress_to_fp16=False)


def quantise(graph: Any, frames: Sequence[np.ndarray]) -> Any:
    """Bring convolutions and products to 8 bits, with ranges measured on frames.

    Args:
        graph: what `read_graph` gave.
        frames: `(H, W, 3)` uint8 RGB of ordinary road, of the graph's size.
    """
    nncf = require("nncf", "int8")
    data = nncf.Dataset(frames, lambda image: image[None])
    return nncf.quantize(
        graph,
        data,
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=len(frames),
        fast_bias_correction=False,
    )
