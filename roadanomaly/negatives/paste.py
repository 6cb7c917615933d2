"""Negatives that are objects cut out of other images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import cv2
import numpy as np

from roadanomaly.data.class_names import CITYSCAPES
from roadanomaly.data.coco_scenes import KNOWN
from roadanomaly.data.cutouts import Cutout, CutoutReader, Entry, open_cutouts
from roadanomaly.data.memory import Memory
from roadanomaly.data.parts import check_part, in_part
from roadanomaly.data.roots import find_set
from roadanomaly.errors import DataError, OptionError
from roadanomaly.negatives.checks import check_range
from roadanomaly.negatives.look import OBJECTS
from roadanomaly.negatives.patches import Patch, PatchSource
from roadanomaly.negatives.sifting import excluded, sift

ATTEMPTS = 100
"""Cut-outs drawn in a row that may be unreadable before the set counts as broken."""

GROWTH = 3.0
"""Greatest factor by which a cut-out is enlarged; beyond it edges turn to stairs."""


class Paste(PatchSource):
    """Cut-outs of objects that roads do not have, pasted into the crops.

    Pixels with alpha >= 0.5 become `NEGATIVE`, whatever their label was, void included; those with
    alpha from 0.1 to 0.5 show both and become `IGNORE`.

    Args:
        root: the set's folder, or the name of a folder under `$ROADANOMALY_DATA` or `datasets/`.
        format: `"coco"`, `"yolo"`, `"index_mask"`, `"rgba"`, or `"auto"` to guess by the layout.
        exclude: class names that are not pasted; None leaves out those that roads have.
        min_area: share of its image that an object's box must cover, 0..1.
        objects: of index masks: `"components"` or `"classes"` (all pixels of a class of an image).
        part: `"train"` and `"held_out"` share no image, `"all"` is both.
        held_out: share of the images in `"held_out"`, chosen by a hash of their names.
        licences: numbers of the licences, as the set's COCO file gives them, whose images are
            used; images without one are then left out. None asks for none.
        known: fewest and most people, vehicles, traffic lights and stop signs of the set that are
            laid over a crop before, in the same way, and labelled with their class, of which the
            frames must have Cityscapes' names. A detector that sees them cannot go by the edges
            and colours of what was pasted.
        look: how they are put into a crop: what differs from the usual, by the options of `Look`
            (`count`, `side`, `feather`, ...).

    Raises:
        DataError: the set is missing or unreadable, or the filters leave nothing, or none of what
            is known where `known` asks for it.
        OptionError: a value out of range, an excluded class that the set does not define, or a
            class that is pasted as a negative and as known.
    """

    usual = OBJECTS

    def __init__(
        self,
        root: str = "coco128seg",
        format: str = "auto",  # noqa: A002
        exclude: Sequence[str] | None = None,
        min_area: float = 0.01,
        objects: str = "components",
        part: str = "all",
        held_out: float = 0.2,
        licences: Sequence[int] | None = None,
        known: Sequence[int] = (0, 0),
        look: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(look)
        check_part(part, held_out)
        check_range("min_area", (min_area, min_area), 0, 1)
        check_range("known", known, 0, 1000)
        self.part = part
        self.reader = open_cutouts(find_set(root), format, objects)
        filters = (min_area, part, held_out, licences)
        left_out = excluded(self.reader, exclude)
        foreign = {"exclude": lambda entry: entry.category not in left_out}
        self.entries = select(self.reader, foreign, *filters)
        self.known = tuple(known)
        self.classes = CITYSCAPES
        self.known_entries: list[Entry] = []
        if self.known[1]:
            here = {"known": lambda entry: entry.category in KNOWN}
            self.known_entries = select(self.reader, here, *filters)
            self._refuse_both()
        self._memory: Memory[Cutout] = Memory()

    def _refuse_both(self) -> None:
        both = {entry.category for entry in self.entries} & set(KNOWN)
        if both:
            msg = (
                f"paste: {', '.join(sorted(both))} would be pasted as negatives and, by `known`, "
                "as what is known: name them in `exclude`, too, or leave `exclude` out."
            )
            raise OptionError(msg)

    def label_as(self, classes: tuple[str, ...]) -> None:
        """Label known objects by these classes.

        Raises:
            OptionError: one that is laid over the crops is not among them.
        """
        self.classes = classes
        wanted = {KNOWN[entry.category] for entry in self.known_entries}
        missing = sorted(wanted - set(classes))
        if missing:
            msg = (
                f"paste: `known` lays objects of the classes {', '.join(missing)} over the crops, "
                f"which are not among the {len(classes)} that the frames are labelled with: leave "
                "`known` out, or take labels of Cityscapes' classes."
            )
            raise OptionError(msg)

    def draw(self, side: int, rng: np.random.Generator) -> Patch:
        """Draw one cut-out, its longest side `side` pixels."""
        return self._draw_of(self.entries, side, rng)[1]

    def draw_known(
        self, image: np.ndarray, label: np.ndarray, side: int, rng: np.random.Generator
    ) -> Patch:
        """Draw one cut-out of a known class, as `draw_for` draws a negative."""
        del image, label
        entry, patch = self._draw_of(self.known_entries, side, rng)
        return replace(patch, label=self.classes.index(KNOWN[entry.category]))

    def furnish(
        self, image: np.ndarray, label: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Lay known objects over a crop, where `known` asks for them."""
        if not self.known_entries:
            return image, label
        return self.add(image, label, self.known, self.draw_known, rng)

    def _draw_of(
        self, entries: Sequence[Entry], side: int, rng: np.random.Generator
    ) -> tuple[Entry, Patch]:
        for _ in range(ATTEMPTS):
            entry = entries[int(rng.integers(len(entries)))]
            cutout = self._memory.get(entry, partial(self._read, entry))
            if cutout is not None:
                return entry, resize(cutout, side)
        msg = (
            f"of {ATTEMPTS} cut-outs drawn from {str(self.reader.root)!r} none could be "
            "read; see the warnings in the log, and repair the files."
        )
        raise DataError(msg)

    def record(self) -> dict[str, Any]:
        """Return the set's name, and how many cut-outs of which classes and how many images."""
        classes = Counter(entry.category for entry in self.entries)
        known = Counter(entry.category for entry in self.known_entries)
        return {
            "name": "paste",
            "root": self.reader.root.resolve().name,
            "format": self.reader.format,
            "part": self.part,
            "images": len({entry.image for entry in (*self.entries, *self.known_entries)}),
            "cutouts": len(self.entries),
            "classes": dict(sorted(classes.items())),
            **({"known": dict(sorted(known.items()))} if known else {}),
            **self._licences(),
            "skipped": dict(self.reader.skipped),
        }

    def _licences(self) -> dict[str, Any]:
        """Count the images of each licence, where the set says it."""
        shown = [*self.entries, *self.known_entries]
        of = {entry.image: entry.licence for entry in shown if entry.licence is not None}
        return {"licences": dict(sorted(Counter(of.values()).items()))} if of else {}

    def _read(self, entry: Entry) -> Cutout | None:
        cutout = self.reader.read(entry)
        return None if cutout is None else shrink(cutout, round(self.look.side[1]))


def select(
    reader: CutoutReader,
    wanted: Mapping[str, Callable[[Entry], bool]],
    min_area: float,
    part: str,
    held_out: float,
    licences: Sequence[int] | None,
) -> list[Entry]:
    """Return the entries that all filters leave; `Paste` says what they are.

    Args:
        reader: of the set.
        wanted: which classes, by the option that says so.
        min_area: as the rest, an option of `Paste`.

    Raises:
        DataError: none is left; says how many each filter removed.
    """
    filters = {
        **wanted,
        "min_area": lambda entry: entry.share >= min_area,
        f"part={part}": lambda entry: in_part(entry.image.stem, part, held_out),
        "licences": lambda entry: licences is None or entry.licence in licences,
    }
    return sift(reader.entries, filters, "cut-out", reader.root)


def shrink(cutout: Cutout, side: int) -> Cutout:
    """Return the cut-out with its longest side at most `side` pixels."""
    size = _size(cutout.alpha.shape, side)
    if max(cutout.alpha.shape) <= side:
        return cutout
    return Cutout(*(cv2.resize(part, size, interpolation=cv2.INTER_AREA) for part in cutout))


def resize(cutout: Cutout, side: int) -> Patch:
    """Return the cut-out with its longest side `side` pixels, or less where `GROWTH` forbids it."""
    longest = max(cutout.alpha.shape)
    side = min(side, round(GROWTH * longest))
    way = cv2.INTER_AREA if side < longest else cv2.INTER_CUBIC
    size = _size(cutout.alpha.shape, side)
    colour, alpha = (cv2.resize(part, size, interpolation=way) for part in cutout)
    if side > longest:
        blur = side / longest / 2
        colour, alpha = (cv2.GaussianBlur(part, (0, 0), blur) for part in (colour, alpha))
    return Patch(colour.astype(np.float32), alpha.astype(np.float32) / 255)


def _size(shape: tuple[int, ...], side: int) -> tuple[int, int]:
    scale = side / max(shape[:2])
    return max(1, round(shape[1] * scale)), max(1, round(shape[0] * scale))
