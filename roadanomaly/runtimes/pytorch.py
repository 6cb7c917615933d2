"""PyTorch itself: eager, compiled, or replayed as a CUDA graph."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from roadanomaly.catalogue import called
from roadanomaly.detectors.head import Head
from roadanomaly.errors import OptionError
from roadanomaly.model import Model, channels_last
from roadanomaly.precision import PRECISIONS, autocast
from roadanomaly.runtimes.base import Runtime, Scores
from roadanomaly.runtimes.choice import Mode, check_mode
from roadanomaly.runtimes.graph import ScoringGraph
from roadanomaly.runtimes.reasons import lines_of
from roadanomaly.runtimes.replay import TURN, Replayed
from roadanomaly.runtimes.transfer import Transfer, pack
from roadanomaly.segmenters.torchscript import read_torchscript


class PyTorch(Runtime):
    """A model, or an exported TorchScript file, run by PyTorch.

    Args:
        source: the model on its device, or the file.
        size: `(H, W)` of the frames.
        precision: `f32`, or `bf16` or `f16` by autocast.
        mode: `eager`; `compile` by `torch.compile`; `cuda_graph` records the work of one batch on
            the GPU and replays it, which takes the launches off the processor; `auto` is
            `cuda_graph` where that can be, else `eager`.
        device: for a file; None takes a GPU where there is one.
        classes: False leaves the class map of a model out; a file has the outputs that it has.

    Attributes:
        mode: the one that was taken.

    Raises:
        OptionError: an unknown mode or precision, or a CUDA graph that cannot be.
    """

    name = "torch"
    precisions = PRECISIONS

    def __init__(
        self,
        source: Model | Path,
        size: tuple[int, int],
        precision: str = "f32",
        mode: Mode = "eager",
        device: torch.device | None = None,
        *,
        classes: bool = True,
    ) -> None:
        super().__init__(size, precision)
        self._graph: Any
        self._head: Head | None = None
        if isinstance(source, Model):
            self.device = source.device
            self._graph = ScoringGraph(source, classes=classes)
            self._head = self._graph.head
            self.keeps_state = "state" in self._head.detector.asks
            self.takes_batches = not self.keeps_state
        else:
            self.device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
            self._graph = read_torchscript(source, self.device)
        self.mode = choose_mode(mode, self.device, self._head)
        if self.device.type == "cuda":
            channels_last(self._graph)
        if self.mode == "compile":
            self._graph = torch.compile(self._graph)
        self._transfer = Transfer(self.device, size)
        self._replayed: dict[int, Replayed] = {}
        self._named = mode == "cuda_graph"
        self.make_ready(1)

    @property
    def about(self) -> dict[str, Any]:
        """Device and mode."""
        return {"device": str(self.device), "mode": self.mode}

    def make_ready(self, most: int) -> None:
        """Record a graph for each size of batch up to `most`, where graphs are replayed.

        Raises:
            OptionError: a CUDA graph was asked for by name, and the work cannot be recorded.
        """
        if self.mode != "cuda_graph":
            return
        try:
            for count in range(len(self._replayed) + 1, most + 1 if self.takes_batches else 2):
                self._replayed[count] = self._recorded(count)
        except RuntimeError as error:
            self._give_up_graphs(error)

    def run(self, image: np.ndarray) -> Scores:
        """Score `(H, W, 3)` uint8 RGB."""
        return self.run_many([image])[0]

    def run_many(self, images: Sequence[np.ndarray]) -> list[Scores]:
        """Score frames, as one batch; one by one where a file has a graph of one frame."""
        if len(images) > 1 and not self.takes_batches:
            return [self.run(image) for image in images]
        with self._inference():
            if self._replayed or self.device.type == "cuda":
                with TURN:
                    return self._on_gpu(images)
            batch = torch.from_numpy(np.stack(images) if len(images) > 1 else _whole(images[0]))
            outputs = [one.detach().cpu().numpy() for one in self._compute(batch.to(self.device))]
        return [Scores.of(of_frame) for of_frame in zip(*outputs, strict=True)]

    def reset(self) -> None:
        """Let the detector forget earlier frames."""
        if self._head:
            self._head.detector.reset()

    def _inference(self) -> Any:
        return self._head.inference() if self._head else torch.inference_mode()

    def _compute(self, batch: Tensor) -> tuple[Tensor, ...]:
        with autocast(self.precision, self.device):
            return self._graph(batch)

    def _packed(self, batch: Tensor) -> Tensor:
        return pack(*self._compute(batch))

    def _on_gpu(self, images: Sequence[np.ndarray]) -> list[Scores]:
        """Score frames by graphs as large as were recorded, or as one batch."""
        most = len(self._replayed) or len(images)
        found: list[Scores] = []
        for start in range(0, len(images), most):
            entering = self._transfer.enter(images[start : start + most])
            if self._replayed:
                packed = self._replayed[len(entering)](entering)
            else:
                packed = self._packed(entering.to(self.device, non_blocking=True))
            found += self._transfer.leave(packed)
        return found

    def _recorded(self, count: int) -> Replayed:
        """Record the work of `count` frames; smaller records share the memory of the first."""
        batch = torch.zeros(count, *self.size, 3, dtype=torch.uint8, device=self.device)
        with self._inference():
            return Replayed(self._packed, batch, self._pool)

    @property
    def _pool(self) -> Any:
        if not hasattr(self, "_shared_pool"):
            self._shared_pool = torch.cuda.graph_pool_handle()
        return self._shared_pool

    def _give_up_graphs(self, error: RuntimeError) -> None:
        """Go on without graphs, and say why.

        Raises:
            OptionError: they were asked for by name.
        """
        what = f"the work of a frame cannot be recorded as a CUDA graph ({lines_of(error)[0]})"
        if self._named:
            msg = f"--mode cuda_graph: {what}; `eager` runs it, and so does `auto`."
            raise OptionError(msg) from error
        logging.getLogger(__name__).warning("%s; it is run in mode eager.", what)
        self._replayed.clear()
        self.mode = "eager"


def choose_mode(mode: Mode, device: torch.device, head: Head | None) -> Mode:
    """Return the mode to try: `auto` becomes `cuda_graph` or `eager`.

    Args:
        mode: what was asked for.
        device: of the network.
        head: of a model; None of an exported file.

    Raises:
        OptionError: an unknown mode, or one that this device or detector does not allow.
    """
    check_mode(mode)
    asks = head.detector.beyond_one_graph if head else ()
    if mode == "auto":
        plain = not asks and all(one.exports for one in (head.refiners if head else ()))
        return "cuda_graph" if device.type == "cuda" and plain else "eager"
    if mode != "eager" and head and asks:
        msg = (
            f"the mode {mode} records one pass of the network, and the detector "
            f"`{called(head.detector)}` asks for {' and '.join(asks)}; `eager` runs it."
        )
        raise OptionError(msg)
    if mode == "cuda_graph" and device.type != "cuda":
        msg = "the mode cuda_graph needs a CUDA device; `eager` and `compile` run anywhere."
        raise OptionError(msg)
    return mode


def _whole(image: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(image)[None]
