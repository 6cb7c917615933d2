"""BDD-Anomaly: the frames of BDD100K that show trains, motorcycles or bicycles."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from roadanomaly.data.bdd100k import NEW, OLD, TOPS, frames, release
from roadanomaly.data.benchmark import BenchmarkSet, Files, id_table
from roadanomaly.data.cards import Card, Split
from roadanomaly.data.class_names import CITYSCAPES
from roadanomaly.data.images import read_label
from roadanomaly.errors import DataError
from roadanomaly.types import IGNORE, NEGATIVE

ANOMALIES = (16, 17, 18)
"""Train ids of train, motorcycle and bicycle."""

_LISTS = {"train": ("train.odgt",), "val": ("validation.odgt",), "test": ("test.odgt", "anom.odgt")}


class BddAnomaly(BenchmarkSet):
    """BDD-Anomaly, 1280×720: BDD100K's 16 other classes, trains and two-wheelers as anomalies.

    A frame that shows one of the three is a test frame, whichever folder it lies in. The lists
    `train.odgt`, `validation.odgt` and `anom.odgt` (or `test.odgt`) decide where they lie in the
    top folder; without them every label is read once, which takes about a minute.

    Args:
        split: `test` (810 frames), `train` (6280) or `val` (910); None takes `test`.
        root: folder that holds `bdd100k/` or is it: holds `seg/`, or `images/10k/` and `labels/`.
    """

    classes = CITYSCAPES[:16]
    card: ClassVar[Card] = Card(
        name="bdd-anomaly",
        source="BDD-Anomaly, 6280 + 910 + 810 frames of BDD100K, 1280×720; Hendrycks et al., "
        "Scaling Out-of-Distribution Detection for Real-World Settings, ICML 2022",
        licence="BDD100K's terms: research; registration needed",
        where="bdd-data.berkeley.edu (semantic segmentation); the rule that takes the frames is "
        "in github.com/hendrycks/anomaly-seg",
        layout="seg/images/<train|val>/<id>.jpg, seg/labels/<train|val>/<id>_train_id.png, or "
        "images/10k/<train|val>/<id>.jpg, labels/sem_seg/masks/<train|val>/<id>.png",
        coding="Cityscapes train ids: 0 to 15 inlier, 16 train, 17 motorcycle and 18 bicycle "
        "anomaly, 255 ignore",
        tops=(*TOPS[:2], "BDDAnomaly", "BddAnomaly", TOPS[2]),
        markers=(f"{OLD}/images", NEW),
        splits={
            "train": Split(6280, True, "of the train folder, no anomaly"),
            "val": Split(910, True, "of the val folder, no anomaly"),
            "test": Split(810, True, "train and val frames with an anomaly"),
        },
        default="test",
        ids=frozenset({*range(19), IGNORE}),
        size=(1280, 720),
        sums=("8000 = 7000 train + 1000 val of BDD100K = 6280 train + 910 val + 810 test",),
        totals={8000: "all labelled frames of BDD100K's semantic segmentation"},
        unverified=(
            "the counts 6280, 910 and 810 (a third party states them)",
            "the first version of the paper has 361 test frames: bicycles were inliers there",
            "the newer layout images/10k with labels/sem_seg/masks",
        ),
    )
    anomaly_table = id_table({**dict.fromkeys(range(16), 0), **dict.fromkeys(ANOMALIES, 1)})
    label_table = id_table({**{i: i for i in range(16)}, **dict.fromkeys(ANOMALIES, NEGATIVE)})

    @classmethod
    def scan(cls, root: Path) -> dict[str, Files]:
        """Find the frames of both folders, and tell the test frames by list or label."""
        found = frames(root, ("train", "val"))
        listed = _listed(root)
        return {
            key: replace(one, part=listed.get(key, "") if listed else _part(one))
            for key, one in found.items()
        }

    @classmethod
    def version(cls, root: Path) -> str:
        """Say which release of BDD100K it is, and what decides the splits."""
        return f"{release(root)}, splits by {'.odgt lists' if _listed(root) else 'the labels'}"

    @classmethod
    def members(cls, split: str, found: Mapping[str, Files]) -> dict[str, Files]:
        """Take the frames whose list or label says so."""
        return {key: one for key, one in found.items() if one.image and one.part == split}


def _part(files: Files) -> str:
    """Return `test` where the label shows an anomaly, else the folder's part.

    A broken label shows none: an error when its frame is read.
    """
    if files.label is None:
        return files.part
    try:
        label = read_label(files.label)
    except DataError:
        return files.part
    anomalous = (label >= min(ANOMALIES)) & (label <= max(ANOMALIES))
    return "test" if bool(anomalous.any()) else files.part


def _listed(root: Path) -> dict[str, str]:
    """Return the split of each id that the lists name; empty where there is no list."""
    listed: dict[str, str] = {}
    for split, names in _LISTS.items():
        for path in (root / name for name in names):
            if not path.is_file():
                continue
            try:
                text = path.read_text(encoding="utf-8").strip()
                rows = json.loads(text) if text.startswith("[") else _lines(text)
                listed |= {Path(row["fpath_img"]).stem: split for row in rows}
            except (OSError, ValueError, KeyError, TypeError) as error:
                msg = (
                    f"{path} is no list of frames with `fpath_img` ({error!r}); make it again "
                    "or remove it, then the labels decide the splits."
                )
                raise DataError(msg) from error
    return listed


def _lines(text: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in text.splitlines() if line.strip()]
