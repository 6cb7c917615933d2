"""BDD100K's semantic segmentation: 10,000 frames of American roads, labelled as Cityscapes is."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

from roadanomaly.data.benchmark import Files, named, pair
from roadanomaly.data.cards import Card, Split
from roadanomaly.data.class_maps import CITYSCAPES_TRAIN_IDS
from roadanomaly.data.labelled import Coding, LabelledSet, hide
from roadanomaly.types import IGNORE

TOPS = ("bdd100k", "BDD100K", "bdd100k_seg/bdd100k")
"""Usual names of the top folder, whichever release lies in it."""

OLD, NEW = "seg", "images/10k"
"""Where the release of 2018 and the later ones keep their frames."""


class Bdd100k(LabelledSet):
    """BDD100K's semantic segmentation, 1280×720, of the release of 2018 or a later one.

    Its stored ids are Cityscapes' train ids, 0 to 18 and 255. The frames are the 10K images, which
    are not a part of the 100K ones.

    Args:
        split: `train` (7000 frames), `val` (1000) or `test` (2000, labels hidden); None takes
            `train`.
        root: folder that holds `bdd100k/` or is it: holds `images/10k/` and `labels/`, or `seg/`.
        void: what 255 becomes: `ignore`, or `label`, the label `VOID`; the files do not tell the
            own car and unclear pixels from objects without a class.
    """

    card: ClassVar[Card] = Card(
        name="bdd100k",
        source="BDD100K semantic segmentation, 7000 + 1000 + 2000 frames of 1280×720; Yu et al., "
        "BDD100K: A Diverse Driving Dataset for Heterogeneous Multitask Learning, CVPR 2020, "
        "arXiv 1805.04687",
        licence="BDD100K's terms: research; registration needed",
        where="bdd-data.berkeley.edu (10K images, segmentation labels)",
        layout="images/10k/<train|val|test>/<id>.jpg, labels/sem_seg/masks/<train|val>/<id>.png, "
        "or seg/images/<train|val|test>/<id>.jpg, seg/labels/<train|val>/<id>_train_id.png",
        coding="Cityscapes train ids 0 to 18, 255 void",
        tops=TOPS,
        markers=(NEW, f"{OLD}/images"),
        splits={
            "train": Split(7000, True, "the folder train"),
            "val": Split(1000, True, "the folder val"),
            "test": Split(2000, False, "the folder test"),
        },
        default="train",
        ids=frozenset({*range(19), IGNORE}),
        size=(1280, 720),
        sums=("10000 = 7000 train + 1000 val + 2000 test (labels hidden)",),
        totals={10000: "the whole set", 8000: "without the test"},
        unverified=("the newer layout images/10k with labels/sem_seg/masks",),
    )

    @classmethod
    def scan(cls, root: Path) -> dict[str, Files]:
        """Find the frames of the three folders."""
        found = frames(root, ("train", "val", "test"))
        public = {key: one for key, one in found.items() if one.part != "test"}
        return public | hide({key: one for key, one in found.items() if one.part == "test"})

    @classmethod
    def version(cls, root: Path) -> str:
        """Say which release of BDD100K it is."""
        return release(root)

    def coding(self, label: Path) -> Coding:
        """Return that they are train ids."""
        return Coding(CITYSCAPES_TRAIN_IDS, (IGNORE,))


def frames(root: Path, parts: Iterable[str]) -> dict[str, Files]:
    """Find the frames of some folders of either release, by id."""
    found: dict[str, Files] = {}
    for part in parts:
        if (root / OLD / "images").is_dir():
            images = named(root / OLD / "images" / part)
            labels = named(root / OLD / "labels" / part, "_train_id")
        else:
            images = named(root / NEW / part)
            labels = named(root / "labels" / "sem_seg" / "masks" / part)
        found |= pair(images, labels, part)
    return found


def release(root: Path) -> str:
    """Say which of the two layouts lies in a top folder."""
    return f"{OLD}/ (2018)" if (root / OLD / "images").is_dir() else f"{NEW}/"
