"""Negatives that are objects cut out of other images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import cv2
import numpy as np

from roadanomaly.data.memory import Memory
from roadanomaly.errors import DataError, OptionError, nearest
from roadanomaly.negatives.cutouts import Cutout, CutoutReader, Entry, open_cutouts
from roadanomaly.negatives.cutouts.names import ROAD_CLASSES
from roadanomaly.negatives.patches import Look, Patch, PatchSource, check_part, check_range
from roadanomaly.negatives.sets import find_set, in_part
from roadanomaly.types import NEGATIVE

ATTEMPTS = 100
"""Cut-outs drawn in a row that may be unreadable before the set counts as broken."""

GROWTH = 3.0
"""Greatest factor by which a cut-out is enlarged; beyond it edges turn to stairs."""


class Paste(PatchSource):
    """Cut-outs of objects that roads do not have, pasted into the crops.

    Pixels with alpha >= 0.5 become `NEGATIVE`, whatever their label was, void included; those with
    alpha from 0.1 to 0.5 show both and become `IGNORE`.

    A posterior of negatives soon learns how pasting looks. Decoys take that cue away: objects of
    known classes out of the same set, pasted in the same way, which keep the label of their class.

    Args:
        root: the set's folder, or the name of a folder under `$ROADANOMALY_DATA` or `datasets/`.
        format: `"coco"`, `"yolo"`, `"index_mask"`, `"rgba"`, or `"auto"` to guess by the layout.
        exclude: class names that are not pasted; None leaves out those that roads have.
        min_area: share of its image that an object's box must cover, 0..1.
        objects: of index masks: `"components"` or `"classes"` (all pixels of a class of an image).
        part: `"train"` and `"held_out"` share no image, `"all"` is both.
        held_out: share of the images in `"held_out"`, chosen by a hash of their names.
        decoys: set's class name to the segmenter's class index, as `{person: 11, car: 13}`; such
            objects are pasted too, as inliers. `min_area` and `part` hold for them.
        decoy_share: share of the pasted objects that are decoys, 0..1; 0 where there are none.
        count: fewest and most objects in a crop.
        side: least and greatest longest side, in pixels of the crop, drawn log-uniformly.
        flip: share that is mirrored.
        rotate: degrees to either side, drawn uniformly.
        feather: least and greatest radius of the soft edge, in pixels.
        colour_match: least and greatest strength of moving mean and contrast to the background's.
        brightness: gain is drawn from `1 - brightness` to `1 + brightness`.
        probability: share of crops that get negatives at all.
        place: `"anywhere"`, or `"ground"`: the foot stands on the ground, bigger further down.
        ground: label values that count as ground; the default is road, sidewalk and terrain of
            Cityscapes' train ids.

    Raises:
        DataError: the set is missing or unreadable, or the filters leave nothing.
        OptionError: a value out of range, or an excluded class that the set does not define.
    """

    def __init__(
        self,
        root: str = "coco128seg",
        format: str = "auto",  # noqa: A002
        exclude: Sequence[str] | None = None,
        min_area: float = 0.01,
        objects: str = "components",
        part: str = "all",
        held_out: float = 0.2,
        decoys: Mapping[str, int] | None = None,
        decoy_share: float = 0.4,
        count: Sequence[int] = (1, 3),
        side: Sequence[float] = (24, 330),
        flip: float = 0.5,
        rotate: float = 0,
        feather: Sequence[float] = (0, 2),
        colour_match: Sequence[float] = (0.0, 0.7),
        brightness: float = 0.1,
        probability: float = 1.0,
        place: str = "anywhere",
        ground: Sequence[int] = (0, 1, 9),
    ) -> None:
        super().__init__(
            Look(
                count=count,
                side=side,
                flip=flip,
                rotate=rotate,
                feather=feather,
                colour_match=colour_match,
                brightness=brightness,
                probability=probability,
                place=place,
                ground=ground,
            )
        )
        check_part(part, held_out)
        check_range("min_area", (min_area, min_area), 0, 1)
        check_range("decoy_share", (decoy_share, decoy_share), 0, 1)
        self.part = part
        self.reader = open_cutouts(find_set(root), format, objects)
        left_out = left_out_classes(self.reader, exclude, decoys or {})
        usable = Filters(min_area, part, held_out)
        self.entries = usable.select(
            self.reader, "exclude", lambda entry: entry.category not in left_out
        )
        self.decoy_labels = dict(decoys or {})
        self.decoy_share = decoy_share if decoys else 0.0
        self.decoys = (
            usable.select(self.reader, "decoys", lambda entry: entry.category in self.decoy_labels)
            if decoys
            else []
        )
        self._memory: Memory[Cutout] = Memory()

    def draw(self, side: int, rng: np.random.Generator) -> Patch:
        """Draw one cut-out, its longest side `side` pixels."""
        decoy = bool(self.decoys) and rng.random() < self.decoy_share
        entries = self.decoys if decoy else self.entries
        for _ in range(ATTEMPTS):
            entry = entries[rng.integers(len(entries))]
            cutout = self._memory.get(entry, partial(self._read, entry))
            if cutout is not None:
                label = self.decoy_labels[entry.category] if decoy else NEGATIVE
                return resize(cutout, side, label)
        msg = (
            f"of {ATTEMPTS} cut-outs drawn from {str(self.reader.root)!r} none could be "
            "read; see the warnings in the log, and repair the files."
        )
        raise DataError(msg)

    def record(self) -> dict[str, Any]:
        """Return the set's name, and how many cut-outs of which classes and how many images."""
        return {
            "name": "paste",
            "root": self.reader.root.resolve().name,
            "format": self.reader.format,
            "part": self.part,
            "images": len({entry.image for entry in self.entries}),
            "cutouts": len(self.entries),
            "classes": _counts(self.entries),
            "decoys": _counts(self.decoys),
            "decoy_share": self.decoy_share,
            "skipped": dict(self.reader.skipped),
        }

    def _read(self, entry: Entry) -> Cutout | None:
        cutout = self.reader.read(entry)
        return None if cutout is None else shrink(cutout, round(self.look.side[1]))


def left_out_classes(
    reader: CutoutReader, exclude: Sequence[str] | None, decoys: Mapping[str, int]
) -> frozenset[str]:
    """Return the classes that are no negatives: the excluded ones and the decoys.

    Raises:
        OptionError: a class that the set does not define, or a decoy's label that is no class.
    """
    for option, names in (("exclude", exclude or ()), ("decoys", decoys)):
        for name in names:
            if reader.names and name not in reader.names:
                msg = (
                    f"`{option}` names the class {name!r}, which {str(reader.root)!r} does not "
                    f"define; {nearest(name, reader.names)}"
                )
                raise OptionError(msg)
    for name, label in decoys.items():
        if not (isinstance(label, int) and 0 <= label < NEGATIVE):
            msg = (
                f"`decoys` gives {name!r} the label {label!r}; it must be the index of a class of "
                f"the segmenter, 0 to {NEGATIVE - 1}."
            )
            raise OptionError(msg)
    return (ROAD_CLASSES if exclude is None else frozenset(exclude)) | frozenset(decoys)


@dataclass(frozen=True)
class Filters:
    """Which objects of a set are used; `Paste` says what the options are."""

    min_area: float
    part: str
    held_out: float

    def select(
        self, reader: CutoutReader, option: str, wanted: Callable[[Entry], bool]
    ) -> list[Entry]:
        """Return the entries that are wanted and pass.

        Raises:
            DataError: none is left; says how many each filter removed.
        """
        filters: dict[str, Callable[[Entry], bool]] = {
            option: wanted,
            "min_area": lambda entry: entry.share >= self.min_area,
            f"part={self.part}": lambda entry: in_part(entry.image.stem, self.part, self.held_out),
        }
        entries, removed = reader.entries, {}
        for name, keep in filters.items():
            kept = [entry for entry in entries if keep(entry)]
            removed[name] = len(entries) - len(kept)
            entries = kept
        if not entries:
            by = ", ".join(f"`{name}` removed {count}" for name, count in removed.items() if count)
            msg = (
                f"no cut-out is left of the {len(reader.entries)} in {str(reader.root)!r}: {by}. "
                "Loosen that option."
            )
            raise DataError(msg)
        return entries


def _counts(entries: Sequence[Entry]) -> dict[str, int]:
    return dict(sorted(Counter(entry.category for entry in entries).items()))


def shrink(cutout: Cutout, side: int) -> Cutout:
    """Return the cut-out with its longest side at most `side` pixels."""
    size = _size(cutout.alpha.shape, side)
    if max(cutout.alpha.shape) <= side:
        return cutout
    return Cutout(*(cv2.resize(part, size, interpolation=cv2.INTER_AREA) for part in cutout))


def resize(cutout: Cutout, side: int, label: int = NEGATIVE) -> Patch:
    """Return the cut-out with its longest side `side` pixels, or less where `GROWTH` forbids it."""
    longest = max(cutout.alpha.shape)
    side = min(side, round(GROWTH * longest))
    way = cv2.INTER_AREA if side < longest else cv2.INTER_CUBIC
    size = _size(cutout.alpha.shape, side)
    colour, alpha = (cv2.resize(part, size, interpolation=way) for part in cutout)
    if side > longest:
        blur = side / longest / 2
        colour, alpha = (cv2.GaussianBlur(part, (0, 0), blur) for part in (colour, alpha))
    return Patch(colour.astype(np.float32), alpha.astype(np.float32) / 255, label)


def _size(shape: tuple[int, ...], side: int) -> tuple[int, int]:
    scale = side / max(shape[:2])
    return max(1, round(shape[1] * scale)), max(1, round(shape[0] * scale))
