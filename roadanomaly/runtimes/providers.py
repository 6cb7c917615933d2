"""Which of ONNX Runtime's execution providers a graph is given to, and which one really took it."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Sequence
from pathlib import Path

from roadanomaly.errors import OptionError, nearest
from roadanomaly.runtimes.reasons import lines_of

PROVIDERS = {
    "tensorrt": "TensorrtExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "cpu": "CPUExecutionProvider",
}
"""Short names, the fastest first."""

AUTO = "auto"

BEHIND = {"tensorrt": ("cuda", "cpu"), "cuda": ("cpu",), "openvino": ("cpu",), "cpu": ()}
"""What takes the nodes that a provider cannot."""

PACKAGES = {
    "tensorrt": "onnxruntime-gpu tensorrt",
    "cuda": "onnxruntime-gpu",
    "openvino": "onnxruntime-openvino",
    "cpu": "onnxruntime",
}
"""What brings a provider."""

LIBRARIES = {
    "tensorrt": "it needs TensorRT, CUDA and cuDNN of the versions that this build names",
    "cuda": "it needs an NVIDIA driver, CUDA and cuDNN of the versions that this build names",
    "openvino": "it needs the OpenVINO that this build names",
    "cpu": "",
}
"""What a provider that is offered may still lack."""

ENGINES = "engines"

Asked = list[tuple[str, dict[str, str]]]
"""Full names with options, as ONNX Runtime takes them."""


def check_provider(name: str, offered: Sequence[str] | None = None) -> str:
    """Return a provider's short name, or refuse it.

    Args:
        name: a key of `PROVIDERS`, or `auto`.
        offered: full names that the installed build has; None checks the name alone.

    Raises:
        OptionError: an unknown name, or one that the build lacks, with what to install.
    """
    if name not in (AUTO, *PROVIDERS):
        msg = f"--provider {name}: unknown; {nearest(name, (AUTO, *PROVIDERS))}"
        raise OptionError(msg)
    if offered is not None and name != AUTO and PROVIDERS[name] not in offered:
        here = ", ".join(one for one, full in PROVIDERS.items() if full in offered)
        msg = (
            f"--provider {name}: the ONNX Runtime installed here offers {here} only; uninstall it, "
            f"then: pip install {PACKAGES[name]}"
        )
        raise OptionError(msg)
    return name


def to_ask_for(
    name: str, offered: Sequence[str], graph: Path, threads: int, engines: Path | None = None
) -> Asked:
    """Return what a session is asked for, the preferred provider first.

    Args:
        name: as `check_provider` returned it.
        offered: full names that the installed build has.
        graph: the `.onnx` file, whose content names TensorRT's engines.
        threads: of one frame.
        engines: folder in which TensorRT keeps its engines; None keeps none.
    """
    wanted = tuple(PROVIDERS) if name == AUTO else (name, *BEHIND[name])
    named = [one for one in wanted if PROVIDERS[one] in offered]
    options = {
        "cuda": {"use_tf32": "0"},
        "openvino": {"device_type": "CPU", "precision": "FP32", "num_of_threads": str(threads)},
        "tensorrt": _kept_engines(graph, engines) if "tensorrt" in named else {},
    }
    return [(PROVIDERS[one], options.get(one, {})) for one in named]


def really_runs(name: str, asked: Asked, running: Sequence[str]) -> str:
    """Return the short name of the provider that took a graph.

    ONNX Runtime goes on with another one where a provider cannot be loaded, and says so in its own
    log alone.

    Args:
        name: what was asked for: a short name, or `auto`.
        asked: what the session was asked for.
        running: full names, as the session tells them once it is made.

    Raises:
        OptionError: a provider was named, and another one took the graph.
    """
    short = {full: one for one, full in PROVIDERS.items()}
    found = short.get(running[0], running[0])
    wanted = short[asked[0][0]]
    if found == wanted:
        return found
    what = (
        f"ONNX Runtime offers {wanted}, could not load it, and fell back to {found}: "
        f"{LIBRARIES[wanted]}"
    )
    if name != AUTO:
        msg = f"{what}. --provider {found} runs here."
        raise OptionError(msg)
    logging.getLogger(__name__).warning("%s.", what)
    return found


def reason_of(error: Exception) -> str:
    """Return what ONNX Runtime says in an error, without the place in its source."""
    return re.sub(r"^\S+\.(cc|h):\d+ .*?\) ", "", lines_of(error)[0])


def _kept_engines(graph: Path, engines: Path | None) -> dict[str, str]:
    """Return where TensorRT keeps its engines: a folder for the very content of a graph.

    TensorRT's own names tell a graph's structure and not its weights.
    """
    log = logging.getLogger(__name__)
    if engines is None:
        log.warning("TensorRT builds an engine, for minutes, and keeps none; an export's is kept.")
        return {}
    with graph.open("rb") as file:
        content = hashlib.file_digest(file, "sha256").hexdigest()[:16]
    folder = engines / content
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or error
        log.warning("TensorRT's engine is not kept: %s cannot be written (%s).", engines, reason)
        return {}
    if not any(folder.iterdir()):
        log.warning("TensorRT builds an engine, for minutes, and keeps it in %s.", folder)
    kept = {"trt_engine_cache_enable": "1", "trt_timing_cache_enable": "1"}
    return {**kept, "trt_engine_cache_path": str(folder), "trt_timing_cache_path": str(folder)}
