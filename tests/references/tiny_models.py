"""Small networks and detectors of which models are stored, by the names of 0.1's catalogues."""

from __future__ import annotations

from typing import Any

PLAIN = {
    "model_type": "segformer",
    "hidden_sizes": [4, 4, 8, 8],
    "depths": [1, 1, 1, 1],
    "decoder_hidden_size": 8,
    "num_attention_heads": [1, 1, 1, 1],
    "mlp_ratios": [1, 1, 1, 1],
    "sr_ratios": [2, 1, 1, 1],
    "drop_path_rate": 0.0,
    "classifier_dropout_prob": 0.0,
}
MASKS = {
    "model_type": "eomt",
    "hidden_size": 4,
    "num_hidden_layers": 2,
    "num_attention_heads": 1,
    "image_size": 64,
    "patch_size": 16,
    "num_queries": 5,
    "num_blocks": 1,
    "num_upscale_blocks": 1,
    "mlp_ratio": 1,
}
SEGMENTERS = {
    name: {"name": "transformers", "config": config}
    for name, config in (("plain", PLAIN), ("masks", MASKS))
}
"""The two small networks under all detectors."""

ENCODER = {"name": "timm", "model": "regnetx_002", "weights": "none", "stages": [0]}
DRAWING = {
    "generator": {"name": "spade", "classes": 19, "width": 2, "ups": 2, "middle": 0}
    | {"hidden": 1},
    "generator_size": [24, 32],
    "encoder": ENCODER,
    "size": [48, 64],
    "width": 2,
}
ROAD = {"feature": "encoder16", "width": 2, "widths": [3, 2]}
SWAPS = {"name": "label_swap", "swap": [0, 2, 8, 10, 13], "blobs": [1, 2], "blob_side": [8, 30]}
OBSTACLES = {"name": "road_obstacles", "count": [1, 3], "side": [8, 24]}

DETECTORS: dict[str, dict[str, Any]] = {
    "dacup": {**ROAD, "embedding": 3, "embedding_width": 2, "hidden": 2, "inpaint_size": [24, 32]}
    | {"encoder": ENCODER, "phases": [0.25, 0.5]},
    "densehybrid": {"features": ["decoder", "encoder16"], "beta": 0.1, "smooth": 5},
    "eam": {},
    "embedding_density": {"features": ["decoder", "encoder16"], "dimensions": 4, "couplings": 2}
    | {"hidden": 4, "epochs": 2, "smooth": 3, "standardise": True},
    "energy": {},
    "entropy": {},
    "image_resynthesis": {**DRAWING, "encoder": {**ENCODER, "stages": [0, 1]}},
    "jsrnet": ROAD,
    "mahalanobis": {"feature": "decoder"},
    "mask2anomaly": {},
    "maskomaly": {"anomaly_queries": [1], "inlier_queries": [0], "sure": 0.05},
    "max_logit": {},
    "msp": {},
    "nflowjs": {"divergence": "jsd", "temperature": 1.5},
    "rba": {},
    "synboost": {**DRAWING, "entropy_weight": 0.3},
}
"""Every detector of the catalogue, small."""

NEGATIVES: dict[str, dict[str, Any]] = {
    "dacup": OBSTACLES,
    "image_resynthesis": SWAPS,
    "jsrnet": OBSTACLES,
    "nflowjs": {"name": "flow", "side": [8, 16]}
    | {"flow": {"name": "glow", "levels": 1, "steps": 2, "hidden": 4}},
    "synboost": SWAPS,
}
"""What a detector is trained with where it is not the recipe's cut-outs."""

STAGES = ["stage1", "stage2", "stage3", "stage4"]
SWIN = {"model_type": "swin", "embed_dim": 8, "depths": [1, 1, 1, 1], "num_heads": [1, 1, 1, 1]}
CONVNEXT = {"model_type": "convnext", "hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1]}
VIT = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
DINO = {**VIT, "image_size": 56, "patch_size": 14}
MASK2FORMER = {
    "backbone_config": {**SWIN, "window_size": 4, "out_features": STAGES},
    "feature_size": 64,
    "mask_feature_size": 64,
    "hidden_dim": 64,
    "encoder_feedforward_dim": 16,
    "encoder_layers": 1,
    "decoder_layers": 2,
    "dim_feedforward": 16,
    "num_attention_heads": 2,
    "num_queries": 7,
}
UPERNET = {"hidden_size": 16, "use_auxiliary_head": False}
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


def _transformers(kind: str, config: dict[str, Any], **options: Any) -> dict[str, Any]:
    return {"name": "transformers", "config": {"model_type": kind, **config}, **options}


OTHERS: dict[str, dict[str, Any]] = {
    "deeplab_wrn38": {"name": "deeplab_wrn38", "narrow": 16},
    "dinov2": _transformers("dinov2", DINO),
    "dinov2_with_registers": _transformers("dinov2_with_registers", DINO, head="conv"),
    "dinov3_convnext": _transformers(
        "dinov3_convnext", {"hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1]}
    ),
    "dinov3_vit": _transformers(
        "dinov3_vit",
        {**VIT, "image_size": 56, "intermediate_size": 32, "patch_size": 8}
        | {"num_register_tokens": 2},
    ),
    "espnetv2": {"name": "espnetv2", "scale": 0.5},
    "ladder_densenet": {"name": "ladder_densenet", "blocks": [2, 2, 2, 2], "growth": 8},
    "mask2former": _transformers("mask2former", MASK2FORMER),
    "mmseg": {"name": "mmseg", "config": PIDNET},
    "smp": {"name": "smp"},
    "torchvision_deeplabv3": {
        "name": "torchvision",
        "architecture": "deeplabv3_mobilenet_v3_large",
    },
    "torchvision_lraspp": {"name": "torchvision", "architecture": "lraspp_mobilenet_v3_large"},
    "upernet": _transformers(
        "upernet", {"backbone_config": {**CONVNEXT, "out_features": STAGES}, **UPERNET}
    ),
}
"""Networks of which the layout of the weights is stored alone. `onnx` and `torchscript` are files
of the user's, which a saved model names by their path."""
