"""Small networks of every segmenter of the catalogue, and which of them a detector can read."""

from __future__ import annotations

import atexit
import copy
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import torch

from roadanomaly.detectors import DETECTORS
from roadanomaly.segmenters import SEGMENTERS, Segmenter
from tests.contracts import toy
from tests.contracts.built import ON_CLASSIFIER, build_detector, kind_of

CLASSES = ("road", "sidewalk", "building", "sky", "car")
STAGES = ["stage1", "stage2", "stage3", "stage4"]
SWIN = {
    "model_type": "swin",
    "embed_dim": 8,
    "depths": [1, 1, 1, 1],
    "num_heads": [1, 1, 1, 1],
    "window_size": 4,
    "out_features": STAGES,
}
CONVNEXT = {
    "model_type": "convnext",
    "hidden_sizes": [8, 8, 16, 16],
    "depths": [1, 1, 1, 1],
    "out_features": STAGES,
}
VIT = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 56}
TRANSFORMERS = {
    "dinov2": {**VIT, "patch_size": 14},
    "dinov2_with_registers": {**VIT, "patch_size": 14},
    "dinov3_convnext": {"hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1]},
    "dinov3_vit": {**VIT, "intermediate_size": 32, "patch_size": 8, "num_register_tokens": 2},
    "eomt": {
        "hidden_size": 16,
        "num_hidden_layers": 4,
        "num_attention_heads": 2,
        "image_size": 64,
        "patch_size": 16,
        "num_queries": 7,
        "num_blocks": 2,
        "num_upscale_blocks": 1,
    },
    "mask2former": {
        "backbone_config": SWIN,
        "feature_size": 64,
        "mask_feature_size": 64,
        "hidden_dim": 64,
        "encoder_feedforward_dim": 16,
        "encoder_layers": 1,
        "decoder_layers": 2,
        "dim_feedforward": 16,
        "num_attention_heads": 2,
        "num_queries": 7,
    },
    "segformer": {
        "hidden_sizes": [8, 8, 16, 16],
        "depths": [1, 1, 1, 1],
        "decoder_hidden_size": 16,
        "num_attention_heads": [1, 1, 2, 2],
    },
    "upernet": {"backbone_config": CONVNEXT, "hidden_size": 16, "use_auxiliary_head": False},
}


NORM = {"type": "SyncBN", "requires_grad": True}
PIDNET = {
    "type": "EncoderDecoder",
    "backbone": {
        "type": "PIDNet",
        "in_channels": 3,
        "channels": 8,
        "ppm_channels": 8,
        "num_stem_blocks": 1,
        "num_branch_blocks": 2,
        "align_corners": False,
        "norm_cfg": NORM,
    },
    "decode_head": {
        "type": "PIDHead",
        "in_channels": 32,
        "channels": 16,
        "num_classes": 19,
        "norm_cfg": NORM,
        "align_corners": True,
        "loss_decode": [{"type": "BoundaryLoss", "loss_weight": 20.0}] * 4,
    },
}


@cache
def file_network(ending: str) -> dict[str, Any]:
    """Write a network of one convolution at stride 2 into a file; return the options for it."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = folder / f"network.{ending}"
    torch.manual_seed(0)
    convolution = torch.nn.Conv2d(3, len(CLASSES), 3, stride=2, padding=1)
    write_onnx(path, convolution) if ending == "onnx" else write_torchscript(path, convolution)
    return {"file": str(path), "divisor": 4}


def write_torchscript(path: Path, network: torch.nn.Module) -> None:
    torch.jit.trace(network.eval(), torch.zeros(1, 3, 32, 32)).save(str(path))


def write_onnx(
    path: Path,
    convolution: torch.nn.Conv2d,
    size: tuple[int | str, int | str] = ("H", "W"),
    batch: int | str = "B",
) -> None:
    """Write a convolution at stride 2 as an ONNX graph of its kind of numbers, node by node."""
    from onnx import helper, numpy_helper, save_model

    weights = [
        numpy_helper.from_array(one.detach().numpy(), name)
        for name, one in (("w", convolution.weight), ("b", convolution.bias))
    ]
    kind = weights[0].data_type
    node = helper.make_node("Conv", ["image", "w", "b"], ["scores"], strides=[2, 2], pads=[1] * 4)
    image = helper.make_tensor_value_info("image", kind, [batch, 3, *size])
    scores = helper.make_tensor_value_info(
        "scores", kind, [batch, convolution.out_channels, None, None]
    )
    graph = helper.make_graph([node], "network", [image], [scores], weights)
    opset = [helper.make_opsetid("", 17)]
    save_model(helper.make_model(graph, opset_imports=opset, ir_version=8), path)


@dataclass(frozen=True)
class Tiny:
    """A small network.

    Args:
        name: of the catalogue.
        options: that make it small, or what makes them.
        masks: it answers masks.
        features: it offers features.
        trainable: gradients pass through it.
        single: its logits come from one map.
    """

    name: str
    options: dict[str, Any] | Callable[[], dict[str, Any]] = field(default_factory=dict)
    masks: bool = False
    features: bool = True
    trainable: bool = True
    single: bool = True

    @property
    def classified(self) -> bool:
        """Whether its classifier can be asked alone."""
        return self.single and self.features and not self.masks

    def build(self) -> Segmenter:
        options = self.options() if callable(self.options) else self.options
        return SEGMENTERS.build(self.name, {**options, "classes": CLASSES}).eval()


NETWORKS = {
    "deeplab_wrn38": Tiny("deeplab_wrn38", {"narrow": 16}),
    "espnetv2": Tiny("espnetv2", {"scale": 0.5}),
    "ladder_densenet": Tiny("ladder_densenet", {"blocks": [2, 2, 2, 2], "growth": 8}),
    "mmseg": Tiny("mmseg", {"config": PIDNET}),
    "onnx": Tiny("onnx", lambda: file_network("onnx"), features=False, trainable=False),
    "sliding": Tiny(
        "sliding",
        {"segmenter": {"name": "espnetv2", "scale": 0.5}, "window": [64, 64], "overlap": 0.0},
        single=False,
    ),
    "smp": Tiny("smp", {"encoder": "tu-mobilenetv3_small_050"}),
    "torchscript": Tiny("torchscript", lambda: file_network("pt"), features=False, trainable=False),
    **{
        f"torchvision {name}": Tiny("torchvision", {"architecture": f"{name}_mobilenet_v3_large"})
        for name in ("deeplabv3", "lraspp")
    },
    **{
        f"transformers {kind}": Tiny(
            "transformers",
            {"config": {"model_type": kind, **config}},
            masks=kind in ("eomt", "mask2former"),
        )
        for kind, config in TRANSFORMERS.items()
    },
}


@cache
def _built(network: str) -> Segmenter:
    with torch.inference_mode(False):  # whoever asks first: others train it
        return NETWORKS[network].build()


def network(name: str) -> Segmenter:
    """Return a small network of its own, with the same weights every time."""
    return copy.deepcopy(_built(name))


def network_for(detector: str) -> str:
    """Name the cheapest of the small networks that a detector can read."""
    cheapest = "segformer" if "logits" in DETECTORS.get(detector).accepts else "mask2former"
    return f"transformers {cheapest}"


@cache
def reads_features(detector: str) -> bool:
    """Tell whether a detector needs a feature map."""
    built = build_detector(detector, len(toy.CLASSES))
    built.attach(toy.segmenter_for(detector))
    return bool(built.needs)


def fit_together(network: str, detector: str) -> bool:
    """Tell whether a detector can read a network, by what their tables say."""
    tiny, kind = NETWORKS[network], DETECTORS.get(detector)
    answers = {"evidence", "masks"} if tiny.masks else {"logits"}
    by_gradients = kind_of(detector) == "finetune" or "gradients" in kind.asks
    if not answers & set(kind.accepts) or (by_gradients and not tiny.trainable):
        return False
    if detector in ON_CLASSIFIER:
        return tiny.classified
    return tiny.features or not reads_features(detector)
