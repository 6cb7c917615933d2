"""How to run a model, as a command line says it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from roadanomaly.errors import OptionError, nearest

Mode = Literal["auto", "eager", "compile", "cuda_graph"]
MODES = ("auto", "eager", "compile", "cuda_graph")


@dataclass(frozen=True)
class Choice:
    """How to run a model.

    Args:
        backend: name in `RUNTIMES`, or None: the export's own, or torch.
        precision: or None: the export's own, or the backend's first.
        mode: of the backend torch.
        device: of the backend torch.
        provider: of the backend onnxruntime (`providers.PROVIDERS`, or `auto`); None is `auto`.
        classes: whether the class map is asked for: at a frame's size it is a fifth of the work of
            a small network.
    """

    backend: str | None = None
    precision: str | None = None
    mode: Mode = "auto"
    device: str = "cpu"
    provider: str | None = None
    classes: bool = True


def check_mode(mode: str) -> None:
    """Refuse an unknown mode.

    Raises:
        OptionError: says which are known.
    """
    if mode not in MODES:
        msg = f"the mode {mode!r} of the backend torch is unknown; {nearest(mode, MODES)}"
        raise OptionError(msg)
