"""What scores frames: PyTorch, or a runtime that was given the model as one graph; by name."""

from roadanomaly.catalogue import Catalogue
from roadanomaly.runtimes.base import Runtime, Scorer, Scores

RUNTIMES: Catalogue[Runtime] = Catalogue(
    "backend",
    {
        "onnxruntime": "roadanomaly.runtimes.onnx_runtime:OnnxRuntime",
        "openvino": "roadanomaly.runtimes.open_vino:OpenVino",
        "torch": "roadanomaly.runtimes.pytorch:PyTorch",
    },
    listed=False,
)

__all__ = ["RUNTIMES", "Runtime", "Scorer", "Scores"]
