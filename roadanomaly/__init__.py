"""Road-anomaly segmentation: any detector on any segmenter, scored as the benchmarks do.

A name is imported when it is first used, so that `import roadanomaly` and `roadanomaly --help`
need no network library.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from roadanomaly.detectors import DETECTORS, Detector
    from roadanomaly.model import Model, Result, load
    from roadanomaly.published import PUBLISHED, Published, load_published
    from roadanomaly.segmenters import SEGMENTERS, Segmenter
    from roadanomaly.types import IGNORE, NEGATIVE, Batch, Frame, Segmentation

__version__ = "0.2.0.dev0"

HOMES = {
    "DETECTORS": "detectors",
    "Detector": "detectors",
    "Model": "model",
    "Result": "model",
    "load": "model",
    "PUBLISHED": "published",
    "Published": "published",
    "load_published": "published",
    "SEGMENTERS": "segmenters",
    "Segmenter": "segmenters",
    "IGNORE": "types",
    "NEGATIVE": "types",
    "Batch": "types",
    "Frame": "types",
    "Segmentation": "types",
}
"""Public names to the modules that hold them."""


def __getattr__(name: str) -> Any:
    """Import a public name from its module (PEP 562)."""
    if name not in HOMES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(importlib.import_module(f"{__name__}.{HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *HOMES])


def segmenter(name: str, **options: Any) -> Segmenter:
    """Build a segmenter by its short name; `roadanomaly list` shows them with their options."""
    from roadanomaly.segmenters import SEGMENTERS

    return SEGMENTERS.build(name, options)


def detector(name: str, **options: Any) -> Detector:
    """Build a detector by its short name; `roadanomaly list` shows them with their options."""
    from roadanomaly.detectors import DETECTORS

    return DETECTORS.build(name, options)


__all__ = [
    "DETECTORS",
    "IGNORE",
    "NEGATIVE",
    "PUBLISHED",
    "SEGMENTERS",
    "Batch",
    "Detector",
    "Frame",
    "Model",
    "Published",
    "Result",
    "Segmentation",
    "Segmenter",
    "__version__",
    "detector",
    "load",
    "load_published",
    "segmenter",
]
