"""ONNX Runtime, on the processor or on what its providers reach."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from roadanomaly.errors import OptionError
from roadanomaly.extras import require
from roadanomaly.runtimes.base import Runtime, Scores
from roadanomaly.runtimes.graph import HEIGHT, INPUT, OUTPUTS, WIDTH

PREFERRED = ("TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider")


class OnnxRuntime(Runtime):
    """An ONNX graph, run by ONNX Runtime; by TensorRT or CUDA where the installed build has them.

    Args:
        graph: the `.onnx` file.
        size: `(H, W)` of the frames.
        precision: `f32`.
        threads: of one frame; 0 takes all cores.
    """

    name = "onnxruntime"
    precisions = ("f32",)

    def __init__(
        self, graph: Path, size: tuple[int, int], precision: str = "f32", threads: int = 0
    ) -> None:
        super().__init__(size, precision)
        ort = require("onnxruntime", "the backend `onnxruntime`")
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads or os.cpu_count() or 1
        for name, side in zip((HEIGHT, WIDTH), size, strict=True):  # where a graph leaves it open
            options.add_free_dimension_override_by_name(name, side)
        here = ort.get_available_providers()
        providers = [name for name in PREFERRED if name in here]
        try:
            self._session = ort.InferenceSession(str(graph), options, providers=providers)
        except Exception as error:
            msg = f"ONNX Runtime cannot read {graph}: {str(error).splitlines()[0]}"
            raise OptionError(msg) from error

    def run(self, image: np.ndarray) -> Scores:
        """Score `(H, W, 3)` uint8 RGB."""
        outputs = self._session.run(list(OUTPUTS), {INPUT: image[None]})
        return Scores(*(one[0] for one in outputs))
