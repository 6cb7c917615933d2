"""PyTorch itself: eager, compiled, or replayed as a CUDA graph."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from roadanomaly.detectors.head import Head
from roadanomaly.errors import OptionError, nearest
from roadanomaly.model import Model
from roadanomaly.precision import PRECISIONS, autocast
from roadanomaly.runtimes.base import Runtime, Scores
from roadanomaly.runtimes.graph import ScoringGraph

Mode = Literal["eager", "compile", "cuda_graph"]
MODES = ("eager", "compile", "cuda_graph")
Call = Callable[[Tensor], tuple[Tensor, Tensor, Tensor]]


class PyTorch(Runtime):
    """A model, or an exported TorchScript file, run by PyTorch.

    Args:
        source: the model on its device, or the file.
        size: `(H, W)` of the frames.
        precision: `f32`, or `bf16` or `f16` by autocast.
        mode: `eager`; `compile` by `torch.compile`; `cuda_graph` records the work of one frame on
            the GPU and replays it, which takes the launches off the processor.

    Raises:
        OptionError: an unknown mode or precision, or a CUDA graph without CUDA.
    """

    name = "torch"
    precisions = PRECISIONS

    def __init__(
        self,
        source: Model | Path,
        size: tuple[int, int],
        precision: str = "f32",
        mode: Mode = "eager",
    ) -> None:
        super().__init__(size, precision)
        if mode not in MODES:
            msg = f"the mode {mode!r} of the backend torch is unknown; {nearest(mode, MODES)}"
            raise OptionError(msg)
        graph: Any
        self._head: Head | None = None
        if isinstance(source, Model):
            self.device = source.device
            graph = ScoringGraph(source)
            self._head = graph.head
            self.keeps_state = "state" in self._head.detector.asks
        else:
            self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
            graph = torch.jit.load(source, map_location=self.device)
        if mode != "eager" and self._head and self._head.detector.asks:
            name, asks = type(self._head.detector).__name__, self._head.detector.asks
            msg = (
                f"the mode {mode} records one pass of the network, and the detector {name} asks "
                f"for {' and '.join(asks)}; `eager` runs it."
            )
            raise OptionError(msg)
        if mode == "cuda_graph" and self.device.type != "cuda":
            msg = "the mode cuda_graph needs a CUDA device; `eager` and `compile` run anywhere."
            raise OptionError(msg)
        call = torch.compile(graph) if mode == "compile" else graph
        self._call = self._record(call) if mode == "cuda_graph" else call

    def run(self, image: np.ndarray) -> Scores:
        """Score `(H, W, 3)` uint8 RGB."""
        batch = torch.from_numpy(np.ascontiguousarray(image))[None].to(self.device)
        with self._head.inference() if self._head else torch.inference_mode():
            outputs = self._compute(self._call, batch)
        return Scores(*(one[0].detach().cpu().numpy() for one in outputs))

    def reset(self) -> None:
        """Let the detector forget earlier frames."""
        if self._head:
            self._head.detector.reset()

    def _compute(self, call: Call, batch: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        with autocast(self.precision, self.device):
            return call(batch)

    def _record(self, call: Call) -> Call:
        """Record one frame's work; a call copies the frame in and replays it."""
        frame = torch.zeros(1, *self.size, 3, dtype=torch.uint8, device=self.device)
        with torch.inference_mode():
            beside = torch.cuda.Stream()
            beside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(beside):
                for _ in range(3):
                    self._compute(call, frame)
            torch.cuda.current_stream().wait_stream(beside)
            recorded = torch.cuda.CUDAGraph()
            with torch.cuda.graph(recorded):
                outputs = self._compute(call, frame)

        def replay(batch: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            frame.copy_(batch)
            recorded.replay()
            return outputs

        return replay
