"""The field's published checkpoints: what they are, and one call that makes a model of a file."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from roadanomaly.data.class_names import CITYSCAPES
from roadanomaly.data.streethazards import CLASSES as STREETHAZARDS
from roadanomaly.detectors import DETECTORS
from roadanomaly.detectors.hybrid.densehybrid import DenseHybrid
from roadanomaly.errors import DataError, UnknownName, nearest
from roadanomaly.model import Model
from roadanomaly.segmenters import SEGMENTERS
from roadanomaly.segmenters.published_weights import DATASET_HEAD, split_dataset_head
from roadanomaly.segmenters.weights import find_weights, load_strictly, read_weights

HEAD_NAMES = {"norm": "0", "conv": "2"}
"""Layers of the published dataset head to those of DenseHybrid's."""


@dataclass(frozen=True)
class Published:
    """A checkpoint that somebody published.

    Args:
        segmenter: catalogue name of its network.
        classes: in the order of its logits.
        source: where the file comes from.
        licence: of the file, as far as its source says.
        trained_on: data that its weights have seen.
        detector: what it is scored with; `densehybrid` takes its dataset head from the file.
        figures: what was published for it, in words; empty where nothing can be quoted.
        sha256: of the file, where known; a file with another is refused.
        options: of the segmenter, beside its classes.
    """

    segmenter: str
    classes: tuple[str, ...]
    source: str
    licence: str
    trained_on: str
    detector: str
    figures: str = ""
    sha256: str | None = None
    options: dict[str, Any] = field(default_factory=dict)


DENSEHYBRID = "github.com/matejgrcic/DenseHybrid, its README's list of weights"
NVIDIA = "github.com/NVIDIA/semantic-segmentation, branch sdcnet, its README's list of weights"
UNSTATED = "not stated for the weights; the repository's code is GPL"

PUBLISHED: dict[str, Published] = {
    "densehybrid-ldn121-smiyc": Published(
        segmenter="ladder_densenet",
        classes=CITYSCAPES,
        source=DENSEHYBRID,
        licence=UNSTATED,
        trained_on="Cityscapes and what its authors list; negatives from ADE20K",
        detector="densehybrid",
        figures="SMIYC AnomalyTrack test, DenseHybrid's entry: AP 77.96, FPR95 9.81",
    ),
    "densehybrid-ldn121-streethazards": Published(
        segmenter="ladder_densenet",
        classes=STREETHAZARDS,
        source=DENSEHYBRID,
        licence=UNSTATED,
        trained_on="StreetHazards; negatives from ADE20K",
        detector="densehybrid",
    ),
    "densehybrid-wrn38-fishyscapes": Published(
        segmenter="deeplab_wrn38",
        classes=CITYSCAPES,
        source=DENSEHYBRID,
        licence=UNSTATED,
        trained_on="what nvidia-wrn38-cityscapes was; negatives from ADE20K",
        detector="densehybrid",
    ),
    "ldn121-streethazards": Published(
        segmenter="ladder_densenet",
        classes=STREETHAZARDS,
        source=DENSEHYBRID,
        licence=UNSTATED,
        trained_on="StreetHazards",
        detector="energy",
    ),
    "nvidia-wrn38-cityscapes": Published(
        segmenter="deeplab_wrn38",
        classes=CITYSCAPES,
        source=NVIDIA,
        licence="the repository's own; read it before use",
        trained_on="Cityscapes, with Mapillary Vistas before and propagated labels beside it",
        detector="energy",
    ),
}
"""Name to checkpoint. One that is not here is a `Published` that is given to `load_published`."""


def load_published(checkpoint: str | Published, path: str | Path) -> Model:
    """Make a model of a published file.

    Args:
        checkpoint: its name in `PUBLISHED`, or its description.
        path: the file: a path, or a name under a weights folder.

    Raises:
        UnknownName: no such checkpoint.
        DataError: the file is missing, unreadable, does not fit, or has another hash.
    """
    known = _look_up(checkpoint) if isinstance(checkpoint, str) else checkpoint
    file = find_weights(path)
    if known.sha256:
        _check_hash(file, known.sha256)
    network, head = split_dataset_head(read_weights(file))
    segmenter = SEGMENTERS.build(known.segmenter, {"classes": known.classes, **known.options})
    load_strictly(segmenter, network, file)
    detector = DETECTORS.build(known.detector)
    model = Model(segmenter, detector)
    if isinstance(detector, DenseHybrid):
        _load_head(detector, head, file)
        segmenter.learned_from = "negatives"
    return model


def _look_up(name: str) -> Published:
    if name not in PUBLISHED:
        msg = (
            f"no published checkpoint is called {name!r}; {nearest(name, PUBLISHED)} "
            "`roadanomaly list published` shows all. Another file is described by a "
            "`roadanomaly.Published`."
        )
        raise UnknownName(msg)
    return PUBLISHED[name]


def _check_hash(path: Path, expected: str) -> None:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected:
        msg = (
            f"{path} is another file than the published one: its SHA-256 is {found} instead of "
            f"{expected}. Fetch it again from its source."
        )
        raise DataError(msg)


def _load_head(detector: DenseHybrid, head: dict[str, Tensor], path: Path) -> None:
    """Load the published dataset head into DenseHybrid's one head."""
    if not head:
        msg = f"{path} holds no dataset head ({DATASET_HEAD}*), so it is not DenseHybrid's file."
        raise DataError(msg)
    (own,) = detector.heads.values()
    renamed = {}
    for name, value in head.items():
        layer, _, rest = name.partition(".")
        renamed[f"{HEAD_NAMES.get(layer, layer)}.{rest}"] = value
    load_strictly(own, renamed, path)
    detector.ready = True
