"""Road-anomaly segmentation: any detector on any segmenter, scored as the benchmarks do."""

from __future__ import annotations

from typing import Any

from roadanomaly.detectors import DETECTORS, Detector
from roadanomaly.model import Model, Result, load
from roadanomaly.segmenters import SEGMENTERS, Segmenter
from roadanomaly.types import IGNORE, NEGATIVE, Batch, Frame, Segmentation

__version__ = "0.1.0"


def segmenter(name: str, **options: Any) -> Segmenter:
    """Build a segmenter by its short name; `roadanomaly list` shows them with their options."""
    return SEGMENTERS.build(name, options)


def detector(name: str, **options: Any) -> Detector:
    """Build a detector by its short name; `roadanomaly list` shows them with their options."""
    return DETECTORS.build(name, options)


__all__ = [
    "IGNORE",
    "NEGATIVE",
    "Batch",
    "Detector",
    "Frame",
    "Model",
    "Result",
    "Segmentation",
    "Segmenter",
    "__version__",
    "detector",
    "load",
    "segmenter",
]
