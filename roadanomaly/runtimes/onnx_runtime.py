"""ONNX Runtime, on the processor or on what its execution providers reach."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import numpy as np

from roadanomaly.errors import OptionError
from roadanomaly.extras import require
from roadanomaly.runtimes.base import Runtime, Scores
from roadanomaly.runtimes.graph import HEIGHT, INPUT, WIDTH, outputs_of
from roadanomaly.runtimes.providers import (
    AUTO,
    Asked,
    check_provider,
    really_runs,
    reason_of,
    to_ask_for,
)


class OnnxRuntime(Runtime):
    """An ONNX graph, run by ONNX Runtime.

    Args:
        graph: the `.onnx` file.
        size: `(H, W)` of the frames.
        precision: `f32`.
        threads: of one frame; 0 takes all cores.
        provider: `tensorrt`, `cuda`, `openvino`, `cpu`; `auto` takes the first of them that the
            installed build offers and can load.
        engines: folder in which TensorRT keeps its engines; None keeps none.
        classes: False leaves the class map out, and the work for it.

    Attributes:
        provider: the one that really runs.

    Raises:
        OptionError: a provider that is unknown, not installed, or cannot be loaded; or no graph.
    """

    name = "onnxruntime"
    precisions = ("f32",)

    def __init__(
        self,
        graph: Path,
        size: tuple[int, int],
        precision: str = "f32",
        threads: int = 0,
        provider: str = AUTO,
        engines: Path | None = None,
        *,
        classes: bool = True,
    ) -> None:
        super().__init__(size, precision)
        check_provider(provider)
        ort = require("onnxruntime", "the backend `onnxruntime`")
        threads = threads or os.cpu_count() or 1
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        for name, side in zip((HEIGHT, WIDTH), size, strict=True):  # where a graph leaves it open
            options.add_free_dimension_override_by_name(name, side)
        offered = ort.get_available_providers()
        check_provider(provider, offered)
        asked = to_ask_for(provider, offered, graph, threads, engines)
        self._session, asked = self._open(ort, options, graph, asked, named=provider != AUTO)
        self._outputs = list(outputs_of(classes=classes))
        self._run_options = None if classes else ort.RunOptions()
        if self._run_options:
            self._run_options.only_execute_path_to_fetches = True
        self.provider = really_runs(provider, asked, self._session.get_providers())

    @staticmethod
    def _open(
        ort: Any, options: Any, graph: Path, asked: Asked, *, named: bool
    ) -> tuple[Any, Asked]:
        """Return the session and its providers: unless one was named, without those that refuse.

        ONNX Runtime's own second try would print on standard output and forget the options.
        """
        for place, (provider, _) in enumerate(asked):
            left = asked[place:]
            try:
                return ort.InferenceSession(
                    str(graph), options, providers=left, enable_fallback=0
                ), left
            except Exception as error:
                reason = reason_of(error)
                if named or len(left) == 1:
                    msg = f"ONNX Runtime cannot open {graph} by its {provider}: {reason}"
                    raise OptionError(msg) from error
                logging.getLogger(__name__).warning("%s is left out: %s", provider, reason)
        raise AssertionError

    @property
    def about(self) -> dict[str, Any]:
        """Which provider really runs."""
        return {"provider": self.provider}

    def run(self, image: np.ndarray) -> Scores:
        """Score `(H, W, 3)` uint8 RGB."""
        found = self._session.run(self._outputs, {INPUT: image[None]}, self._run_options)
        return Scores.of([one[0] for one in found])
