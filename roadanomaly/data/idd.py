"""IDD: Indian roads, whose classes are mapped to those of Cityscapes."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from roadanomaly.data.benchmark import Files, named, pair
from roadanomaly.data.cards import Card, Split
from roadanomaly.data.class_maps import CITYSCAPES_TRAIN_IDS, table
from roadanomaly.data.class_names import CITYSCAPES
from roadanomaly.data.labelled import Coding, LabelledSet
from roadanomaly.types import IGNORE

IDS: tuple[str, ...] = (
    "road",
    "parking",
    "drivable fallback",
    "sidewalk",
    "rail track",
    "non-drivable fallback",
    "person",
    "animal",
    "rider",
    "motorcycle",
    "bicycle",
    "autorickshaw",
    "car",
    "truck",
    "bus",
    "caravan",
    "trailer",
    "train",
    "vehicle fallback",
    "curb",
    "wall",
    "fence",
    "guard rail",
    "billboard",
    "traffic sign",
    "traffic light",
    "pole",
    "polegroup",
    "obs-str-bar-fallback",
    "building",
    "bridge",
    "tunnel",
    "vegetation",
    "sky",
    "fallback background",
)
"""What the ids 0 to 34 mean in the files `*_gtFine_labelids.png`; 35 to 39 show no street."""

LEVEL3: tuple[tuple[str, ...], ...] = (
    ("road",),
    ("parking", "drivable fallback"),
    ("sidewalk",),
    ("non-drivable fallback", "rail track"),
    ("person", "animal"),
    ("rider",),
    ("motorcycle",),
    ("bicycle",),
    ("autorickshaw",),
    ("car",),
    ("truck",),
    ("bus",),
    ("vehicle fallback", "caravan", "trailer", "train"),
    ("curb",),
    ("wall",),
    ("fence",),
    ("guard rail",),
    ("billboard",),
    ("traffic sign",),
    ("traffic light",),
    ("pole", "polegroup"),
    ("obs-str-bar-fallback",),
    ("building",),
    ("bridge", "tunnel"),
    ("vegetation",),
    ("sky", "fallback background"),
)
"""What the ids 0 to 25 of level 3 join, the most frequent first."""

_TERRAIN = "non-drivable fallback"


def _train_id(name: str) -> int:
    """Return a class's train id as IDD's own table gives it; non-drivable ground is terrain."""
    name = "terrain" if name == _TERRAIN else name
    return CITYSCAPES.index(name) if name in CITYSCAPES else IGNORE


def _coding(names: tuple[str, ...], no_street: range) -> Coding:
    targets = {index: _train_id(name) for index, name in enumerate(names)}
    to = table({**dict.fromkeys(no_street, IGNORE), **targets, IGNORE: IGNORE})
    return Coding(to, tuple(index for index, train_id in targets.items() if train_id == IGNORE))


CODINGS: dict[str, Coding] = {
    "_gtFine_labelids": _coding(IDS, range(len(IDS), 40)),
    "_gtFine_labelcsTrainIds": Coding(CITYSCAPES_TRAIN_IDS, (IGNORE,)),
    "_gtFine_labellevel3Ids": _coding(tuple(joined[0] for joined in LEVEL3), range(0)),
}
"""Endings of the label files, in the order of preference."""


class Idd(LabelledSet):
    """IDD-Segmentation, 1920×1080 and near, part I, part II or both in one folder.

    The published polygons are not read: make label files of them by IDD's own tool, AutoNUE's
    `createLabels.py`, with `--id-type id`; files of `level3Id` and `csTrainId` are read too. Level
    3 joins what these differ in: a cow counts as person there, the far background as sky, a rail
    track as terrain. As in IDD's table, parking, drivable fallback (unpaved road), autorickshaws,
    animals, curbs, guard rails, billboards, bridges and all fallbacks but non-drivable ground have
    no train id.

    Ids are `<split>_<drive>_<file>`.

    Args:
        split: `train` (6993 frames of part I), `val` (981) or `test` (2029, labels hidden); None
            takes `train`.
        root: folder that holds `IDD_Segmentation/` or is it: holds `leftImg8bit/` and `gtFine/`.
        void: what ids without a train id become: `ignore`, or `label`, the label `VOID`, but for
            what shows no street.
    """

    card: ClassVar[Card] = Card(
        name="idd",
        source="IDD-Segmentation, 10,003 frames (part I), mostly 1920×1080; Varma et al., IDD: A "
        "Dataset for Exploring Problems of Autonomous Navigation in Unconstrained Environments, "
        "WACV 2019, arXiv 1811.10200",
        licence="IDD's terms: research; registration needed, no passing on",
        where="idd.insaan.iiit.ac.in; the labels are made of the polygons by createLabels.py of "
        "github.com/AutoNUE/public-code, with --id-type id",
        layout="leftImg8bit/<train|val|test>/<drive>/<id>_leftImg8bit.png (part II: .jpg), "
        "gtFine/<train|val>/<drive>/<id>_gtFine_labelids.png (or _labelcsTrainIds, "
        "_labellevel3Ids)",
        coding="0 to 39 of AutoNUE's table, or its level 3 (0 to 25), or Cityscapes train ids; 255 "
        "void",
        tops=("IDD_Segmentation", "idd", "idd20k", "idd20kII", "IDD_20K_II"),
        markers=("leftImg8bit",),
        splits={
            "train": Split(None, True, "the folder train: 6993 in part I"),
            "val": Split(None, True, "the folder val: 981 in part I"),
            "test": Split(None, False, "the folder test: 2029 in part I"),
        },
        default="train",
        ids=frozenset({*range(40), IGNORE}),
        sums=("part I: 10003 = 6993 train + 981 val + 2029 test (labels hidden)",),
        totals={10003: "part I", 7974: "part I without its test"},
        unverified=("the counts of part II",),
    )

    @classmethod
    def scan(cls, root: Path) -> dict[str, Files]:
        """Find the frames of the three folders; file names recur in other drives."""
        found: dict[str, Files] = {}
        for part in cls.card.splits:
            images = named(root / "leftImg8bit" / part, "_leftImg8bit", join=True)
            labels = {
                key: path
                for ending in reversed(CODINGS)
                for key, path in named(root / "gtFine" / part, ending, join=True).items()
            }
            found |= {f"{part}_{key}": one for key, one in pair(images, labels, part).items()}
        return found

    @classmethod
    def version(cls, root: Path) -> str:
        """Say which kind of label file is read."""
        labels = root / "gtFine"
        found = (one for one in CODINGS if next(labels.rglob(f"*{one}.png"), None) is not None)
        return f"labels *{next(found, ' (none made of the polygons yet)')}"

    def coding(self, label: Path) -> Coding:
        """Return what the file's name says."""
        return next(one for ending, one in CODINGS.items() if label.stem.endswith(ending))
