"""ACDC: Swiss roads in fog, at night, in rain and in snow, with Cityscapes' labels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from roadanomaly.data.benchmark import Files, named, pair
from roadanomaly.data.cards import Card, Split
from roadanomaly.data.class_maps import (
    CITYSCAPES_LABEL_IDS,
    CITYSCAPES_TRAIN_IDS,
    CITYSCAPES_VOID,
)
from roadanomaly.data.labelled import Coding, LabelledSet, hide
from roadanomaly.types import IGNORE

CONDITIONS = ("fog", "night", "rain", "snow")
_COUNTS = {"train": 400, "val": 100, "test": 500}
_MORE_VAL = {"night": 6}
_CODINGS = {
    "_gt_labelTrainIds": Coding(CITYSCAPES_TRAIN_IDS, (IGNORE,)),
    "_gt_labelIds": Coding(CITYSCAPES_LABEL_IDS, CITYSCAPES_VOID),
}


def _splits() -> dict[str, Split]:
    """Return the three splits, and those of each condition."""
    apart = {
        f"{condition}-{part}": Split(
            count + (_MORE_VAL.get(condition, 0) if part == "val" else 0),
            part != "test",
            f"{part}, {condition} alone",
        )
        for condition in CONDITIONS
        for part, count in _COUNTS.items()
    }
    whole = {
        part: Split(
            sum(one.frames or 0 for name, one in apart.items() if name.endswith(part)),
            part != "test",
            f"{part}, all four conditions",
        )
        for part in _COUNTS
    }
    return whole | apart


class Acdc(LabelledSet):
    """ACDC, 1920×1080, in adverse conditions; its clear reference frames are not read.

    Ids are `<condition>_<file>`, those of the test with `test_` before them. Where both kinds of
    label file lie there, `*_gt_labelTrainIds.png` is taken, else `*_gt_labelIds.png`.

    Args:
        split: `train` (1600 frames), `val` (406), `test` (2000, labels hidden), or one condition's:
            `fog-train` (400), `night-val` (106) and so on; None takes `train`.
        root: folder that holds `acdc/` or is it: holds `rgb_anon/` and `gt/`.
        void: what ids without a train id become: `ignore`, or `label`, the label `VOID`; of label
            ids, those that show no street stay ignored.
    """

    card: ClassVar[Card] = Card(
        name="acdc",
        source="ACDC, 1600 + 406 + 2000 frames of 1920×1080 in four conditions; Sakaridis et al., "
        "ACDC: The Adverse Conditions Dataset with Correspondences, ICCV 2021, arXiv 2104.13395",
        licence="ACDC's terms: non-commercial research; registration needed",
        where="acdc.vision.ee.ethz.ch (rgb_anon_trainvaltest.zip, gt_trainval.zip)",
        layout="rgb_anon/<condition>/<split>/<recording>/<id>_rgb_anon.png, "
        "gt/<condition>/<train|val>/<recording>/<id>_gt_labelTrainIds.png (or _gt_labelIds.png)",
        coding="Cityscapes train ids 0 to 18 and 255, or its label ids 0 to 33",
        tops=("acdc", "ACDC"),
        markers=("rgb_anon",),
        splits=_splits(),
        default="train",
        ids=frozenset({*range(34), IGNORE}),
        size=(1920, 1080),
        sums=(
            "4006 = 1600 train + 406 val + 2000 test (labels hidden); each condition has 400 + "
            "100 + 500, night 6 more of val",
        ),
        totals={4006: "the whole set, without the reference frames", 2006: "without the test"},
    )

    @classmethod
    def scan(cls, root: Path) -> dict[str, Files]:
        """Find the frames of all conditions and splits."""
        found: dict[str, Files] = {}
        for condition in CONDITIONS:
            for part in _COUNTS:
                images = named(root / "rgb_anon" / condition / part, "_rgb_anon")
                labels = {
                    key: path
                    for ending in reversed(_CODINGS)
                    for key, path in named(root / "gt" / condition / part, ending).items()
                }
                ids = pair(images, labels, f"{condition}-{part}")
                ids = {f"{condition}_{key}": one for key, one in ids.items()}
                found |= hide(ids) if part == "test" else ids
        return found

    @classmethod
    def members(cls, split: str, found: Mapping[str, Files]) -> dict[str, Files]:
        """Take a split of all conditions or of one."""
        return {
            key: one
            for key, one in found.items()
            if one.image and split in (one.part, one.part.partition("-")[2])
        }

    def coding(self, label: Path) -> Coding:
        """Return what the file's name says: train ids or label ids."""
        return next(one for ending, one in _CODINGS.items() if label.stem.endswith(ending))
