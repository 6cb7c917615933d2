"""Detectors for the contract tests: by their names alone where they can, small where they cannot.

A detector that draws images needs a generator; here it is tiny and untrained.
"""

from __future__ import annotations

from typing import Any

from roadanomaly.detectors import DETECTORS, Detector

DRAWING = ("image_resynthesis", "synboost")


def detector_options(name: str, classes: int = 19) -> dict[str, Any]:
    """Return the options that a contract test builds a detector with.

    Args:
        name: in the catalogue.
        classes: of the segmenter.
    """
    if name == "fusion":
        return {"heads": [{"detector": {"name": one}} for one in ("energy", "msp")]}
    if name not in DRAWING:
        return {}
    return {
        "generator": {"name": "spade", "classes": classes, "width": 4, "ups": 3, "hidden": 4},
        "generator_size": [32, 48],
        "encoder": {"name": "timm", "model": "tf_efficientnet_lite0", "weights": "none"}
        | {"stages": [0, 1]},
        "size": [48, 64],
        "width": 8,
    }


def build_detector(name: str, classes: int = 19) -> Detector:
    """Build a detector with these options."""
    return DETECTORS.build(name, detector_options(name, classes))
