"""Detectors for the contract tests, as small as their options make them.

What they keep does not hang on their width; `test_its_name_alone_builds_it` takes the defaults.
A detector that draws images needs a generator; here it is tiny and untrained.
"""

from __future__ import annotations

from typing import Any

from roadanomaly.detectors import DETECTORS, Detector

DRAWING = ("image_resynthesis", "synboost")
"""Those that cannot be built by their names alone."""

NEEDED = ("atta", "ensemble", "fusion", "mc_dropout", "views", *DRAWING)
"""Those that take options of their own on any network."""

TUNED = ("eam", "mask2anomaly", "rba")
"""Those of kind `posthoc` that options make `finetune`; these options do."""

ON_CLASSIFIER = ("atta", "mc_dropout", "pebal", "rpl", "void_classifier")
"""Those that, with these options, read the map of the last layer and may ask that layer alone."""

ON_NORMS = ("atta",)
"""Those that need a network with BatchNorm."""

ENCODER = {
    "name": "timm",
    "model": "test_efficientnet",
    "weights": "none",
    "stages": [0, 1],
}
ROAD = {"width": 16, "widths": [16, 16, 16, 8]}
JOINING: dict[str, dict[str, Any]] = {
    "atta": {"head": {"detector": {"name": "energy"}, "refiners": [{"name": "smooth"}]}},
    "views": {"head": {"detector": {"name": "energy"}, "refiners": [{"name": "smooth"}]}},
    "fusion": {"heads": [{"detector": {"name": one}} for one in ("energy", "msp")]},
}
"""Those that are made of other detectors."""
FLOW = {"dimensions": 8, "hidden": 16, "per_frame": 100}
SMALL = {
    "autoencoder": {"widths": [16], "bottleneck": 1, "smooth": 3},
    "draem": {"widths": [8], "bottleneck": 4, "judge_widths": [8, 8]},
    "fanogan": {
        "widths": [16],
        "bottleneck": 3,
        "gan": 0.7,
        "smooth": 3,
        "critic_width": 8,
        "critic_lr": 0.01,
        "generator_lr": 0.005,
    },
    "ganomaly": {
        "widths": [8],
        "bottleneck": 8,
        "adversarial": 0.1,
        "code": 20.0,
        "discriminator_width": 4,
    },
    "mae": {
        "patch": 4,
        "parts": 2,
        "width": 32,
        "depth": 1,
        "decoder_depth": 1,
        "heads": 2,
        "smooth": 3,
    },
    "reverse_distillation": {"bottleneck": 2, "width": 16, "sigma": 0.5},
    "riad": {"widths": [8, 8, 8], "cells": [4], "score_l2": 1.0, "smooth": 3},
    "vae": {"widths": [16], "bottleneck": 1, "smooth": 3},
    "cflow": {**FLOW, "couplings": 2, "hidden": 32},
    "csflow": {**FLOW, "steps": 1, "window": 4},
    "ddpm": {"widths": [16], "steps": 50, "terms": 4, "cell": 2},
    "diffusion_density": {"hidden": 16, "levels": 1, "steps": 50, "judged": 5, "per_frame": 100},
    "differnet": {**FLOW, "couplings": 2, "window": 2, "blur": 3},
    "fastflow": {**FLOW, "steps": 2, "window": 4},
    "dacup": {**ROAD, "embedding_width": 16, "encoder": ENCODER},
    "embedding_density": {
        "dimensions": 8,
        "couplings": 2,
        "hidden": 32,
        "per_frame": 100,
    },
    "ensemble": {"members": [{}, {}], "score_by": "scores", "detector": {"name": "msp"}},
    "gmm": {"components": 3, "rounds": 3, "dimensions": 4, "vectors": 500},
    "gmmseg": {"components": 2, "dimensions": 8, "iterations": 5, "min_vectors": 5},
    "jsrnet": ROAD,
    "knn": {"vectors": 400, "per_frame": 60, "references": 200},
    "likelihood": {
        "flow": {"name": "glow", "levels": 1, "steps": 4, "hidden": 16},
        "cell": 4,
    },
    "obsnet": {"width": 8},
    "patchcore": {"vectors": 300},
    **{name: {"moves": "all"} for name in TUNED},
    "pixelcnn": {"width": 8, "blocks": 1, "mixture": 2, "cell": 4, "overlap": 2},
    "uem": {"hidden": 16, "width": 8},
    "ulre": {"hidden": [16, 8]},
    "rpl": {"width": 8, "hold": 0.05},
    "mc_dropout": {"passes": 6, "at": "classifier", "rate": 0.1},
}


def kind_of(name: str) -> str:
    """Return the kind of a detector as it is built here."""
    return "finetune" if name in TUNED else DETECTORS.get(name).kind


def detector_options(name: str, classes: int = 19) -> dict[str, Any]:
    """Return the options that a contract test builds a detector with.

    Args:
        name: in the catalogue.
        classes: of the segmenter.
    """
    if name in JOINING:
        return JOINING[name]
    if name not in DRAWING:
        return SMALL.get(name, {})
    return {
        "generator": {"name": "spade", "classes": classes, "width": 4, "ups": 3, "hidden": 4},
        "generator_size": [16, 24],
        "encoder": ENCODER,
        "size": [32, 48],
        "width": 8,
    }


def build_detector(name: str, classes: int = 19) -> Detector:
    """Build a detector with these options."""
    return DETECTORS.build(name, detector_options(name, classes))
